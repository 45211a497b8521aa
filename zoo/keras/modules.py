"""Parts of the layers that Keras lacks.

What Keras has no layer for consists of operations (``keras.ops``), which are nodes of the model
without being layers, and of a layer with the node's name that returns their result. That needs no
class from zoo, so Keras can save and load it without zoo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from zoo.backend.padding import padding as padding
from zoo.graphs.nodes import Node

LAST = "channels_last"

#: What is applied to a tensor: a layer, or a function of operations.
Step = Callable[[Any], Any]


def pool(
    kind: type[keras.Layer], node: Node, padding: str, dtype: str, suffix: str = ""
) -> keras.Layer:
    """Return a pooling layer with a node's windows; the suffix becomes part of its name."""
    attrs = node.attributes
    name = f"{node.name}{suffix}"
    return kind(attrs["kernel_size"], attrs["stride"], padding, LAST, dtype=dtype, name=name)


def zeros(node: Node, edges: tuple[int, ...], dtype: str, suffix: str = ".pad") -> keras.Layer:
    """Return a layer that pads with zeros; the suffix becomes part of its name."""
    top, bottom, left, right = edges
    return keras.layers.ZeroPadding2D(
        ((top, bottom), (left, right)), LAST, dtype=dtype, name=f"{node.name}{suffix}"
    )


def widths(edges: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the padding of each axis, as ``keras.ops.pad`` takes it."""
    top, bottom, left, right = edges
    return ((0, 0), (top, bottom), (left, right), (0, 0))


def operations(node: Node, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of operations that gives them names: Keras' own may be taken in a model."""

    def apply(x: Any) -> Any:
        result = function(x)
        for number, operation in enumerate(keras.Function(x, result).operations):
            if not isinstance(operation, keras.Layer):
                operation.name = f"{node.name}:{type(operation).__name__.lower()}{number}"
        return result

    return apply


def as_layer(node: Node, dtype: str, function: Callable[[Any], Any]) -> list[Step]:
    """Return operations and, for their result, a layer with the node's name."""
    named = keras.layers.Activation("linear", dtype=dtype, name=node.name)
    return [operations(node, function), named]


def averages(x: Any, axis: int, count: int) -> Any:
    """Return the matrix that maps an axis of a tensor to the means of windows that cover it.

    It is computed from the tensor itself, whose size may be unknown while the model is built.
    Position p is in window i if floor(i * size / count) <= p < ceil((i + 1) * size / count); there
    is no division here, which TensorFlow would turn into a rounded product.
    """
    ops = keras.ops
    # Not x[0, ...], which LiteRT does not run where the size of the batch is free.
    line = ops.reshape(x[:1, :, :1, :1] if axis == 1 else x[:1, :1, :, :1], (-1,))
    ones = ops.cast(ops.ones_like(line), "int32")
    size, position = ops.sum(ones), ops.cumsum(ones) - 1
    number = np.arange(count, dtype="int32")[:, None]
    begun = size * number < (position + 1) * count
    unfinished = position * count < size * (number + 1)
    inside = ops.cast(ops.logical_and(begun, unfinished), "int32")
    widths = ops.sum(inside, axis=1, keepdims=True)
    return ops.cast(inside, x.dtype) / ops.cast(widths, x.dtype)
