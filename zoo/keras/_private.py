"""Private parts of Keras that zoo relies on; a test checks each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras.src.models.functional import Functional as Functional


def output_of(layer: keras.Layer) -> Any:
    """Return a layer's output in the functional model that contains it.

    If the layer is itself a model, its ``output`` is another tensor: that of its inner graph.
    """
    return keras.Operation.output.fget(layer)


def input_of(layer: keras.Layer) -> Any:
    """Return a layer's input in the functional model that contains it."""
    return keras.Operation.input.fget(layer)


def own_variables(layer: keras.Layer) -> Iterator[Any]:
    """Yield the variables of a layer itself, without those of the layers in it."""
    yield from layer._trainable_variables
    yield from layer._non_trainable_variables


def is_functional(layer: keras.Layer) -> bool:
    """Tell whether a layer is a functional model, whose layers have names."""
    return bool(getattr(layer, "_operations", None))
