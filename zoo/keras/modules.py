"""Parts of the layers that Keras lacks.

A layer of several operations is a small functional model with one name. It needs no class from
zoo, so Keras can save and load it without zoo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from zoo.graphs.nodes import Node

LAST = "channels_last"


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


def pool(kind: type[keras.Layer], node: Node, padding: str, dtype: str) -> keras.Layer:
    """Return a pooling layer with a node's windows."""
    attrs = node.attributes
    return kind(attrs["kernel_size"], attrs["stride"], padding, LAST, dtype=dtype, name=node.name)


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


def as_layer(node: Node, dtype: str, function: Callable[[Any], Any]) -> keras.Model:
    """Wrap a function of several operations as one layer: a small functional model."""
    channels, *size = node.input_shapes[0]
    x = keras.Input((*size, channels), dtype=dtype, name="input")
    model = keras.Model(x, function(x), name=node.name)
    model.dtype_policy = dtype
    return model


def averages(windows: Any, size: int, dtype: str) -> Any:
    """Return the matrix that maps ``size`` values to the mean of each window."""
    matrix = np.zeros((len(windows), size))
    for row, (begin, end) in zip(matrix, windows, strict=True):
        row[begin:end] = 1 / (end - begin)
    return matrix.astype(dtype)
