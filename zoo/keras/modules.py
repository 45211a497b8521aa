"""What layers are made of that Keras has not as one.

Several operations under one name are a small functional model: no class of zoo's, so Keras saves
and loads it by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from zoo.graphs.nodes import Node

LAST = "channels_last"


def padding(node: Node) -> tuple[tuple[int, ...], str]:
    """Say what to pad by hand, and which of Keras' two words then lays the node's windows.

    Beyond the end of a map are zeros that a convolution reads as such and a maximum never takes,
    so only where the windows begin and how many there are matters.
    """
    at = node.attributes
    dilation = at.get("dilation", (1, 1))
    valid = same = True
    for axis in (0, 1):
        size, count = node.input_shapes[0][1 + axis], node.shape[1 + axis]
        begin, stride = at["padding"][2 * axis], at["stride"][axis]
        extent = dilation[axis] * (at["kernel_size"][axis] - 1) + 1
        total = max((count - 1) * stride + extent - size, 0)
        valid &= begin == 0 and count == (size - extent) // stride + 1
        same &= begin == total // 2 and count == -(-size // stride)
    if valid or same:
        return (0, 0, 0, 0), "valid" if valid else "same"
    return at["padding"], "valid"


def pool(kind: type[keras.Layer], node: Node, padding: str, dtype: str) -> keras.Layer:
    """Return a pooling layer of a node's windows."""
    at = node.attributes
    return kind(at["kernel_size"], at["stride"], padding, LAST, dtype=dtype, name=node.name)


def zeros(node: Node, edges: tuple[int, ...], dtype: str) -> keras.Layer:
    """Return a layer of zeros around a node's input."""
    top, bottom, left, right = edges
    return keras.layers.ZeroPadding2D(
        ((top, bottom), (left, right)), LAST, dtype=dtype, name=f"{node.name}.pad"
    )


def widths(edges: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return what to pad of each axis."""
    top, bottom, left, right = edges
    return ((0, 0), (top, bottom), (left, right), (0, 0))


def named(node: Node, dtype: str, function: Callable[[Any], Any]) -> keras.Model:
    """Make one named thing of several operations: a small functional model."""
    channels, *size = node.input_shapes[0]
    x = keras.Input((*size, channels), dtype=dtype, name="input")
    model = keras.Model(x, function(x), name=node.name)
    model.dtype_policy = dtype
    return model


def averages(windows: Any, size: int, dtype: str) -> Any:
    """Return the matrix that takes the mean of each window of a line of so many values."""
    matrix = np.zeros((len(windows), size))
    for row, (begin, end) in zip(matrix, windows, strict=True):
        row[begin:end] = 1 / (end - begin)
    return matrix.astype(dtype)
