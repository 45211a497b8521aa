"""The PyTorch backend: graphs as ``torch.nn.Module``, NCHW."""

from zoo.torch.files import export
from zoo.torch.model import build
from zoo.torch.running import features, predict
from zoo.torch.weights import count_parameters, get_weights, set_weights, shapes

__all__ = [
    "build",
    "count_parameters",
    "export",
    "features",
    "get_weights",
    "predict",
    "set_weights",
    "shapes",
]
