"""The PaddlePaddle backend: graphs as ``paddle.nn.Layer``, NCHW."""

from zoo.backend.description import Description

_NO_KERNEL = "PaddlePaddle has no convolution of this precision on a CPU"

DESCRIPTION = Description(
    name="paddle",
    title="PaddlePaddle",
    implementation="zoo.paddle.backend:PaddleBackend",
    framework="paddle",
    packages=("paddlepaddle",),
    aliases=("paddlepaddle",),
    install="polyzoo[paddle]",
    suffix=".pdparams",
    precision_limits={"bfloat16": _NO_KERNEL, "float16": _NO_KERNEL},
    optimizer_notes={"SGD": "holds momentum and weight decay in float32"},
)
