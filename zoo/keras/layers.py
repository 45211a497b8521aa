"""One function an operation: a node as Keras layers, the last of which bears the node's name.

Every layer says its own data format and dtype, so Keras' global settings do not matter. Nothing
here is a class of zoo's, so Keras saves and loads the models by itself.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.errors import BackendError
from zoo.network import Node

LAST = "channels_last"


def conv(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    at = node.attributes
    stride, dilation, groups = at["stride"], at["dilation"], at["groups"]
    edges, padding = _padding(node)
    # Keras has no strided and dilated convolution; what it skips can be left out of the input.
    step = tuple(map(math.gcd, stride, dilation))
    if max(step) > 1:
        edges, padding = at["padding"], "valid"
        stride, dilation = (
            tuple(a // b for a, b in zip(p, step, strict=True)) for p in (stride, dilation)
        )
    if max(stride) > 1 and max(dilation) > 1:
        raise BackendError(
            f"{node.name}: Keras has no convolution of stride {list(at['stride'])} and dilation "
            f"{list(at['dilation'])}; use another backend"
        )
    before: list[keras.Layer] = []
    if any(edges):
        before.append(_zeros(node, edges, dtype))
    if max(step) > 1:
        name = f"{node.name}.sample"
        before.append(keras.layers.MaxPooling2D(1, step, data_format=LAST, dtype=dtype, name=name))
    options = {
        "strides": stride,
        "padding": padding,
        "data_format": LAST,
        "dilation_rate": dilation,
        "use_bias": at["bias"],
        "dtype": dtype,
        "name": node.name,
    }
    # TensorFlow's own depthwise kernels: 30 times faster than groups, but for equal strides only.
    if groups == at["in_channels"] > 1 and stride[0] == stride[1]:
        return [
            *before,
            keras.layers.DepthwiseConv2D(
                at["kernel_size"],
                depth_multiplier=at["out_channels"] // groups,
                depthwise_initializer=_glorot(node, seed),
                **options,
            ),
        ]
    return [
        *before,
        keras.layers.Conv2D(
            at["out_channels"],
            at["kernel_size"],
            groups=groups,
            kernel_initializer=_glorot(node, seed),
            **options,
        ),
    ]


def linear(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    at = node.attributes
    return [
        keras.layers.Dense(
            at["out_features"],
            use_bias=at["bias"],
            kernel_initializer=_glorot(node, seed),
            dtype=dtype,
            name=node.name,
        )
    ]


def batch_norm(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    at = node.attributes
    return [
        keras.layers.BatchNormalization(
            axis=-1,
            momentum=1 - at["momentum"],  # Keras' is the weight of the old value
            epsilon=at["eps"],
            center=at["shift"],
            scale=at["scale"],
            dtype=dtype,
            name=node.name,
        )
    ]


def lrn(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    at = node.attributes
    channel = np.arange(node.shape[0])
    near = abs(channel[:, None] - channel) <= at["size"] // 2

    def normalise(x: Any) -> Any:
        # Summing over neighbours as a 1x1 convolution with a band of ones is what TensorFlow's own
        # kernel does, and several times faster than adding slices. So is exp of log than power.
        total = ops.conv(ops.square(x), near[None, None].astype(dtype), data_format=LAST)
        scale = at["k"] + at["alpha"] / at["size"] * total
        return x * ops.exp(-at["beta"] * ops.log(scale))

    return [_named(node, dtype, normalise)]


def relu(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    return [keras.layers.ReLU(dtype=dtype, name=node.name)]


def dropout(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    rate = node.attributes["rate"]
    return [keras.layers.Dropout(rate, seed=_seed(node, seed), dtype=dtype, name=node.name)]


def max_pool(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    edges, padding = _padding(node)
    layer = _pool(keras.layers.MaxPooling2D, node, padding, dtype)
    if not any(edges):
        return [layer]

    def pool(x: Any) -> Any:
        return layer(ops.pad(x, _widths(edges), constant_values=-math.inf))  # which never wins

    return [_named(node, dtype, pool)]


def avg_pool(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    at = node.attributes
    kernel, edges, counts = at["kernel_size"], at["padding"], at["counts"]
    layer = _pool(keras.layers.AveragePooling2D, node, "valid", dtype)
    if counts is None:
        return [_zeros(node, edges, dtype), layer] if any(edges) else [layer]
    scale = kernel[0] * kernel[1] / np.outer(*counts)[None, :, :, None]

    def pool(x: Any) -> Any:
        return layer(ops.pad(x, _widths(edges))) * scale.astype(dtype)

    return [_named(node, dtype, pool)]


def global_avg_pool(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    return [
        keras.layers.GlobalAveragePooling2D(LAST, keepdims=True, dtype=dtype, name=node.name),
    ]


def adaptive_avg_pool(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    # Not Keras' own layer: in a compiled function it asks for a window larger than the map.
    rows, columns = (
        _averages(windows, size, dtype)
        for windows, size in zip(node.attributes["windows"], node.input_shapes[0][1:], strict=True)
    )

    def pool(x: Any) -> Any:
        return ops.einsum("bhwc,ih,jw->bijc", x, rows, columns)

    return [_named(node, dtype, pool)]


def scale(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    # Not Rescaling, which takes its factor through float32.
    factor = np.asarray(node.attributes["factor"]).astype(dtype)
    return [_named(node, dtype, lambda x: x * factor)]


def flatten(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    return [keras.layers.Flatten(LAST, dtype=dtype, name=node.name)]


def concat(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    return [keras.layers.Concatenate(axis=-1, dtype=dtype, name=node.name)]


def add(node: Node, dtype: str, seed: int) -> list[keras.Layer]:
    return [keras.layers.Add(dtype=dtype, name=node.name)]


#: op name -> function
LAYERS: dict[str, Callable[[Node, str, int], list[keras.Layer]]] = {
    function.__name__: function
    for function in (
        conv,
        linear,
        batch_norm,
        lrn,
        relu,
        dropout,
        max_pool,
        avg_pool,
        global_avg_pool,
        adaptive_avg_pool,
        scale,
        flatten,
        concat,
        add,
    )
}


def _padding(node: Node) -> tuple[tuple[int, ...], str]:
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


def _pool(kind: type[keras.Layer], node: Node, padding: str, dtype: str) -> keras.Layer:
    at = node.attributes
    return kind(at["kernel_size"], at["stride"], padding, LAST, dtype=dtype, name=node.name)


def _zeros(node: Node, edges: tuple[int, ...], dtype: str) -> keras.Layer:
    """Return a layer of zeros around a node's input."""
    top, bottom, left, right = edges
    return keras.layers.ZeroPadding2D(
        ((top, bottom), (left, right)), LAST, dtype=dtype, name=f"{node.name}.pad"
    )


def _widths(edges: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    top, bottom, left, right = edges
    return ((0, 0), (top, bottom), (left, right), (0, 0))


def _named(node: Node, dtype: str, function: Callable[[Any], Any]) -> keras.Model:
    """Make one named thing of several operations: a small functional model."""
    channels, *size = node.input_shapes[0]
    x = keras.Input((*size, channels), dtype=dtype, name="input")
    model = keras.Model(x, function(x), name=node.name)
    model.dtype_policy = dtype
    return model


def _averages(windows: Any, size: int, dtype: str) -> Any:
    """Return the matrix that takes the mean of each window of a line of so many values."""
    matrix = np.zeros((len(windows), size))
    for row, (begin, end) in zip(matrix, windows, strict=True):
        row[begin:end] = 1 / (end - begin)
    return matrix.astype(dtype)


def _glorot(node: Node, seed: int) -> keras.Initializer:
    """Keras' default, with a seed of its own: without one it takes one from Python's generator."""
    return keras.initializers.GlorotUniform(seed=_seed(node, seed))


def _seed(node: Node, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}|{node.name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
