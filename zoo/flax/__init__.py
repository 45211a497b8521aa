"""The Flax backend: graphs as ``flax.nnx.Module``, NHWC."""

from zoo.flax.files import export
from zoo.flax.model import build
from zoo.flax.running import features, forms, predict
from zoo.flax.training import cross_entropy, gradients, optimizing
from zoo.flax.weights import count_parameters, get_weights, set_weights, shapes

__all__ = [
    "build",
    "count_parameters",
    "cross_entropy",
    "export",
    "features",
    "forms",
    "get_weights",
    "gradients",
    "optimizing",
    "predict",
    "set_weights",
    "shapes",
]
