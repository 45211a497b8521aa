"""The PaddlePaddle backend: graphs as ``paddle.nn.Layer``, NCHW."""

import zoo.paddle._loading  # isort: skip  # noqa: F401  before anything else imports paddle
from zoo.paddle.files import export
from zoo.paddle.inspection import CONVENTION, differentiate, named_modules, observe, own_weights
from zoo.paddle.model import build
from zoo.paddle.running import features, forms, predict
from zoo.paddle.training import cross_entropy, gradients, optimizing
from zoo.paddle.weights import count_parameters, get_weights, set_weights, shapes

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
