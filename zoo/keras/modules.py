"""Functions of tensors for what Keras lacks, or computes otherwise.

They consist of operations (``keras.ops``), which are nodes of a model without being layers, so that
Keras can save and load the model without zoo.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

LAST = "channels_last"


def lrn(x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
    """Local response normalization across channels, alpha divided by the size."""
    # Like TensorFlow's own kernel, sum over neighbors with a 1x1 convolution by a band matrix.
    # It is several times faster than adding slices; so are roots, or exp of log, than power.
    channel = np.arange(x.shape[-1])
    in_window = abs(channel[:, None] - channel) <= size // 2
    band = (in_window * (alpha / size)).astype(x.dtype)[None, None]
    base = k + ops.conv(ops.square(x), band, data_format=LAST)
    if beta == 0.75:
        root = ops.sqrt(base)
        return x / (root * ops.sqrt(root))
    return x * ops.exp(-beta * ops.log(base))


def hard_sigmoid(x: Any) -> Any:
    """Keras' own rounds 1 / 6 to float32."""
    return ops.relu6(x + 3) / 6


def hard_swish(x: Any) -> Any:
    """Keras' own rounds 1 / 6 to float32."""
    return x * ops.relu6(x + 3) / 6


def gelu(x: Any) -> Any:
    """GELU by the error function; in float64, Keras' own rounds the root of 2 to float32."""
    if x.dtype != "float64":
        return ops.gelu(x, approximate=False)
    return x * (1 + ops.erf(x / np.sqrt(2).astype(x.dtype))) / 2


def avg_pool(
    x: Any,
    pool_size: tuple[int, int],
    strides: tuple[int, int],
    edges: tuple[int, ...],
    counted: tuple[int, ...],
) -> Any:
    """An average pool with padding, of which a part counts."""
    beyond = tuple(edge - part for edge, part in zip(edges, counted, strict=True))
    ones = padded(ops.ones_like(x[:1, ..., :1]), counted, 1)
    part = ops.average_pool(padded(ones, beyond), pool_size, strides, data_format=LAST)
    return ops.average_pool(padded(x, edges), pool_size, strides, data_format=LAST) / part


def padded(x: Any, edges: tuple[int, ...], value: float = 0) -> Any:
    """Adds a constant around a map: top, bottom, left, right."""
    top, bottom, left, right = edges
    widths = ((0, 0), (top, bottom), (left, right), (0, 0))
    return ops.pad(x, widths, constant_values=value)


def adaptive_avg_pool(x: Any, output_size: tuple[int, int]) -> Any:
    """The means of windows that cover the map."""
    # Not Keras' own layer, which requests a window larger than the map in a compiled function.
    height, width = output_size
    return ops.einsum("bhwc,ih,jw->bijc", x, _averages(x, 1, height), _averages(x, 2, width))


def _averages(x: Any, axis: int, count: int) -> Any:
    """Return the matrix that maps an axis of a tensor to the means of windows that cover it.

    It is computed from the tensor itself, whose size may be unknown while the model is built.
    Position p is in window i if floor(i * size / count) <= p < ceil((i + 1) * size / count); there
    is no division here, which TensorFlow would turn into a rounded product.
    """
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


def scale(x: Any, factor: float) -> Any:
    """Multiplies by a constant; Keras' Rescaling rounds it to float32."""
    return x * np.asarray(factor).astype(x.dtype)


def channels(x: Any, start: int, stop: int) -> Any:
    """Selects a range of channels."""
    return x[..., start:stop]


def select(x: Any, channels: tuple[int, ...]) -> Any:
    """Selects channels by index."""
    return ops.take(x, np.array(channels), axis=-1)


def channel_shuffle(x: Any, groups: int) -> Any:
    """Takes the first channel of each group, then the second of each, and so on."""
    order = np.arange(x.shape[-1]).reshape(groups, -1).T.ravel()
    return ops.take(x, order, axis=-1)


def pad_channels(x: Any, padding: tuple[int, int]) -> Any:
    """Adds channels of zeros before and after."""
    return ops.pad(x, ((0, 0), (0, 0), (0, 0), padding))
