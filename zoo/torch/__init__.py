"""The PyTorch backend: graphs as ``torch.nn.Module``, NCHW."""

from zoo.torch.files import export
from zoo.torch.inspection import CONVENTION, differentiate, named_modules, observe, own_weights
from zoo.torch.model import build
from zoo.torch.running import features, forms, predict
from zoo.torch.training import cross_entropy, gradients, optimizing
from zoo.torch.weights import count_parameters, get_weights, set_weights, shapes

__all__ = [
    "CONVENTION",
    "build",
    "count_parameters",
    "cross_entropy",
    "differentiate",
    "export",
    "features",
    "forms",
    "get_weights",
    "gradients",
    "named_modules",
    "observe",
    "optimizing",
    "own_weights",
    "predict",
    "set_weights",
    "shapes",
]
