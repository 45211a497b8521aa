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

from zoo.graphs.nodes import Node

LAST = "channels_last"

#: What is applied to a tensor: a layer, or a function of operations.
Step = Callable[[Any], Any]


def padding(node: Node) -> tuple[tuple[int, ...], str]:
    """Return the explicit padding of a node, and Keras' padding mode for the padded input.

    A convolution reads the padding at the end of a map as zeros, and a maximum ignores it. So only
    the start of the windows and their number matter.

    Returns:
        Top, bottom, left, right; and ``valid`` or ``same``.
    """
    attrs = node.attributes
    dilation = attrs.get("dilation", (1, 1))
    valid = same = True
    for axis in (0, 1):
        size, count = node.input_shapes[0][1 + axis], node.shape[1 + axis]
        begin, stride = attrs["padding"][2 * axis], attrs["stride"][axis]
        extent = dilation[axis] * (attrs["kernel_size"][axis] - 1) + 1
        total = max((count - 1) * stride + extent - size, 0)
        valid &= begin == 0 and count == (size - extent) // stride + 1
        same &= begin == total // 2 and count == -(-size // stride)
    if valid or same:
        return (0, 0, 0, 0), "valid" if valid else "same"
    return attrs["padding"], "valid"


def pool(
    kind: type[keras.Layer], node: Node, padding: str, dtype: str, suffix: str = ""
) -> keras.Layer:
    """Return a pooling layer with a node's windows; the suffix becomes part of its name."""
    attrs = node.attributes
    name = f"{node.name}{suffix}"
    return kind(attrs["kernel_size"], attrs["stride"], padding, LAST, dtype=dtype, name=name)


def zeros(node: Node, edges: tuple[int, ...], dtype: str) -> keras.Layer:
    """Return a layer that pads a node's input with zeros."""
    top, bottom, left, right = edges
    return keras.layers.ZeroPadding2D(
        ((top, bottom), (left, right)), LAST, dtype=dtype, name=f"{node.name}.pad"
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


def averages(windows: Any, size: int, dtype: str) -> Any:
    """Return the matrix that maps ``size`` values to the mean of each window."""
    matrix = np.zeros((len(windows), size))
    for row, (begin, end) in zip(matrix, windows, strict=True):
        row[begin:end] = 1 / (end - begin)
    return matrix.astype(dtype)
