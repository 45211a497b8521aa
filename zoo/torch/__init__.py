"""The PyTorch backend: graphs as ``torch.nn.Module``, NCHW."""

from zoo.backend.description import Description

DESCRIPTION = Description(
    name="torch",
    title="PyTorch",
    implementation="zoo.torch.backend:TorchBackend",
    framework="torch",
    packages=("torch",),
    aliases=("pytorch",),
    install="polyzoo[torch]",
    suffix=".pth",
    reads=(".pth", ".pt", ".bin"),
)
