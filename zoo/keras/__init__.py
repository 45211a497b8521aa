"""The Keras 3 backend: graphs as functional ``keras.Model``, NHWC, on the engine Keras runs on."""

import keras

from zoo.errors import BackendError
from zoo.keras.files import export
from zoo.keras.inspection import CONVENTION, differentiate, named_modules, observe, own_weights
from zoo.keras.model import build
from zoo.keras.running import features, forms, predict
from zoo.keras.training import cross_entropy, gradients, optimizing
from zoo.keras.weights import count_parameters, get_weights, set_weights, shapes

__all__ = [
    "CONVENTION",
    "build",
    "count_parameters",
    "cross_entropy",
    "differentiate",
    "engine",
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
    "require_engine",
    "set_weights",
    "shapes",
]


def engine() -> str:
    """Return the name of the engine that Keras runs on: ``tensorflow``, ``jax`` or ``torch``."""
    return str(keras.backend.backend())


def require_engine(name: str) -> None:
    """Insist on an engine, which Keras chooses once, when it is first imported.

    Args:
        name: ``tensorflow``, ``jax`` or ``torch``.

    Raises:
        BackendError: Keras runs on another.
    """
    if engine() != name:
        raise BackendError(
            f"Keras runs on {engine()} here: set the environment variable KERAS_BACKEND={name} "
            "before the first import of keras, or build with backend='keras'"
        )
