"""What zoo takes of Keras that Keras does not promise; tests watch each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras


def output_of(layer: keras.Layer) -> Any:
    """Return what a layer returned when a functional model was made.

    A model's own ``output`` is that of its inside; as a layer of another it has a second one.
    """
    return keras.Operation.output.fget(layer)


def input_of(layer: keras.Layer) -> Any:
    """Return what a layer was called with when a functional model was made."""
    return keras.Operation.input.fget(layer)


def own_variables(layer: keras.Layer) -> Iterator[Any]:
    """Return the variables that a layer holds itself, not those of layers within it."""
    yield from layer._trainable_variables
    yield from layer._non_trainable_variables


def is_functional(layer: keras.Layer) -> bool:
    """Tell whether a layer is a functional model, whose layers have names."""
    return bool(getattr(layer, "_operations", None))
