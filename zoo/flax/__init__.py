"""The Flax backend: graphs as ``flax.nnx.Module``, NHWC."""

from zoo.flax.files import export
from zoo.flax.inspection import CONVENTION, differentiate, named_modules, observe, own_weights
from zoo.flax.model import build
from zoo.flax.running import features, forms, predict
from zoo.flax.training import cross_entropy, gradients, optimizing
from zoo.flax.weights import count_parameters, get_weights, set_weights, shapes

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
