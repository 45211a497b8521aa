"""Builds the layers and operations in Keras for each operation; the last layer has the node's name.

Every layer states its data format and dtype, so Keras' global settings do not matter. The layers
need no class from zoo, so Keras can save and load the models without zoo.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.backend.operations import Operations
from zoo.errors import BackendError
from zoo.graphs.nodes import Node
from zoo.keras import modules
from zoo.keras.modules import LAST, Step


def _activation(name: str) -> Callable[[Node, str, int], list[Step]]:
    """Return a function that builds Keras' activation of a name."""
    return lambda node, dtype, seed: [keras.layers.Activation(name, dtype=dtype, name=node.name)]


#: operation -> function of a node, the dtype's name and the seed
OPERATIONS = Operations("keras", "Keras")
for _name in ("relu", "relu6", "sigmoid", "tanh", "silu", "softmax"):
    OPERATIONS[_name] = _activation(_name)


@OPERATIONS.register
def conv(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    stride, dilation, groups = attrs["stride"], attrs["dilation"], attrs["groups"]
    edges, padding = modules.padding(node)
    # Keras has no convolution that is both strided and dilated. A common divisor of the two can be
    # applied to the input instead, by dropping the values that the convolution skips.
    step = tuple(map(math.gcd, stride, dilation))
    if max(step) > 1:
        edges, padding = attrs["padding"], "valid"
        stride, dilation = (
            tuple(a // b for a, b in zip(p, step, strict=True)) for p in (stride, dilation)
        )
    if max(stride) > 1 and max(dilation) > 1:
        raise BackendError(
            f"{node.name}: Keras has no convolution of stride {list(attrs['stride'])} and dilation "
            f"{list(attrs['dilation'])}; use another backend"
        )
    preceding: list[Step] = []
    if any(edges):
        preceding.append(modules.zeros(node, edges, dtype))
    if max(step) > 1:
        sampling: dict[str, Any] = {"data_format": LAST, "dtype": dtype}
        name = f"{node.name}.sample"
        preceding.append(keras.layers.MaxPooling2D(1, step, name=name, **sampling))
    options = {
        "strides": stride,
        "padding": padding,
        "data_format": LAST,
        "dilation_rate": dilation,
        "use_bias": attrs["bias"],
        "dtype": dtype,
        "name": node.name,
    }
    # TensorFlow's depthwise kernels are 30 times faster than groups, but require equal strides.
    if groups == attrs["in_channels"] > 1 and stride[0] == stride[1]:
        return [
            *preceding,
            keras.layers.DepthwiseConv2D(
                attrs["kernel_size"],
                depth_multiplier=attrs["out_channels"] // groups,
                depthwise_initializer=_glorot(node, seed),
                **options,
            ),
        ]
    return [
        *preceding,
        keras.layers.Conv2D(
            attrs["out_channels"],
            attrs["kernel_size"],
            groups=groups,
            kernel_initializer=_glorot(node, seed),
            **options,
        ),
    ]


@OPERATIONS.register
def linear(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    return [
        keras.layers.Dense(
            attrs["out_features"],
            use_bias=attrs["bias"],
            kernel_initializer=_glorot(node, seed),
            dtype=dtype,
            name=node.name,
        )
    ]


@OPERATIONS.register
def batch_norm(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    return [
        keras.layers.BatchNormalization(
            axis=-1,
            momentum=1 - attrs["momentum"],  # Keras' is the weight of the old value
            epsilon=attrs["eps"],
            center=attrs["shift"],
            scale=attrs["scale"],
            dtype=dtype,
            name=node.name,
        )
    ]


@OPERATIONS.register
def layer_norm(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    options = {
        "center": attrs["shift"],
        "scale": attrs["scale"],
        "dtype": dtype,
        "name": node.name,
    }
    return [keras.layers.LayerNormalization(axis=-1, epsilon=attrs["eps"], **options)]


@OPERATIONS.register
def affine(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    return [
        keras.layers.EinsumDense(
            "...c,c->...c",
            (node.shape[0],),
            bias_axes="c" if attrs["shift"] else None,
            kernel_initializer=keras.initializers.Constant(attrs["scale_init"]),
            dtype=dtype,
            name=node.name,
        )
    ]


@OPERATIONS.register
def lrn(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    channel = np.arange(node.shape[0])
    in_window = abs(channel[:, None] - channel) <= attrs["size"] // 2
    band = (in_window * (attrs["alpha"] / attrs["size"])).astype(dtype)[None, None]

    def normalize(x: Any) -> Any:
        # Like TensorFlow's own kernel, sum over neighbors with a 1x1 convolution by a band matrix.
        # It is several times faster than adding slices; so are roots, or exp of log, than power.
        scale = attrs["k"] + ops.conv(ops.square(x), band, data_format=LAST)
        if attrs["beta"] == 0.75:
            root = ops.sqrt(scale)
            return x / (root * ops.sqrt(root))
        return x * ops.exp(-attrs["beta"] * ops.log(scale))

    return modules.as_layer(node, dtype, normalize)


@OPERATIONS.register
def hard_sigmoid(node: Node, dtype: str, seed: int) -> list[Step]:
    # Not Keras' own, which rounds 1 / 6 to float32.
    return modules.as_layer(node, dtype, lambda x: ops.relu6(x + 3) / 6)


@OPERATIONS.register
def hard_swish(node: Node, dtype: str, seed: int) -> list[Step]:
    return modules.as_layer(node, dtype, lambda x: x * ops.relu6(x + 3) / 6)


@OPERATIONS.register
def gelu(node: Node, dtype: str, seed: int) -> list[Step]:
    if dtype != "float64":
        return modules.as_layer(node, dtype, lambda x: ops.gelu(x, approximate=False))
    # Not Keras' own, which rounds the root of 2 to float32.
    root = np.sqrt(2).astype(dtype)
    return modules.as_layer(node, dtype, lambda x: x * (1 + ops.erf(x / root)) / 2)


@OPERATIONS.register
def dropout(node: Node, dtype: str, seed: int) -> list[Step]:
    rate = node.attributes["rate"]
    return [keras.layers.Dropout(rate, seed=_seed(node, seed), dtype=dtype, name=node.name)]


@OPERATIONS.register
def stochastic_depth(node: Node, dtype: str, seed: int) -> list[Step]:
    noise_shape = (None, *(1 for _ in node.shape))
    rate = node.attributes["rate"]
    options = {"seed": _seed(node, seed), "dtype": dtype, "name": node.name}
    return [keras.layers.Dropout(rate, noise_shape=noise_shape, **options)]


@OPERATIONS.register
def max_pool(node: Node, dtype: str, seed: int) -> list[Step]:
    edges, padding = modules.padding(node)
    layer = modules.pool(keras.layers.MaxPooling2D, node, padding, dtype)
    if not any(edges):
        return [layer]

    def pad(x: Any) -> Any:
        return ops.pad(x, modules.widths(edges), constant_values=-math.inf)

    return [modules.operations(node, pad), layer]


@OPERATIONS.register
def avg_pool(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    edges, counted = attrs["padding"], attrs["counted"]
    average = keras.layers.AveragePooling2D
    if counted is None:
        layer = modules.pool(average, node, "valid", dtype)
        return [modules.zeros(node, edges, dtype), layer] if any(edges) else [layer]
    if counted == (0, 0, 0, 0) and modules.padding(node)[1] == "same":
        return [modules.pool(average, node, "same", dtype)]  # Keras never counts its padding
    layer = modules.pool(average, node, "valid", dtype, suffix=".mean")
    beyond = tuple(edge - part for edge, part in zip(edges, counted, strict=True))

    def pool(x: Any) -> Any:
        ones = ops.pad(ops.ones_like(x[:1, ..., :1]), modules.widths(counted), constant_values=1)
        part = layer(ops.pad(ones, modules.widths(beyond)))
        return layer(ops.pad(x, modules.widths(edges))) / part

    return modules.as_layer(node, dtype, pool)


@OPERATIONS.register
def global_avg_pool(node: Node, dtype: str, seed: int) -> list[Step]:
    return [
        keras.layers.GlobalAveragePooling2D(LAST, keepdims=True, dtype=dtype, name=node.name),
    ]


@OPERATIONS.register
def adaptive_avg_pool(node: Node, dtype: str, seed: int) -> list[Step]:
    # Not Keras' own layer, which requests a window larger than the map in a compiled function.
    height, width = node.attributes["output_size"]

    def pool(x: Any) -> Any:
        rows, columns = modules.averages(x, 1, height), modules.averages(x, 2, width)
        return ops.einsum("bhwc,ih,jw->bijc", x, rows, columns)

    return modules.as_layer(node, dtype, pool)


@OPERATIONS.register
def scale(node: Node, dtype: str, seed: int) -> list[Step]:
    # Not Rescaling, which rounds its factor to float32.
    factor = np.asarray(node.attributes["factor"]).astype(dtype)
    return modules.as_layer(node, dtype, lambda x: x * factor)


@OPERATIONS.register
def flatten(node: Node, dtype: str, seed: int) -> list[Step]:
    return [keras.layers.Flatten(LAST, dtype=dtype, name=node.name)]


@OPERATIONS.register
def concat(node: Node, dtype: str, seed: int) -> list[Step]:
    return [keras.layers.Concatenate(axis=-1, dtype=dtype, name=node.name)]


@OPERATIONS.register
def add(node: Node, dtype: str, seed: int) -> list[Step]:
    return [keras.layers.Add(dtype=dtype, name=node.name)]


@OPERATIONS.register
def multiply(node: Node, dtype: str, seed: int) -> list[Step]:
    return [keras.layers.Multiply(dtype=dtype, name=node.name)]


@OPERATIONS.register
def slice(node: Node, dtype: str, seed: int) -> list[Step]:
    attrs = node.attributes
    return modules.as_layer(node, dtype, lambda x: x[..., attrs["start"] : attrs["stop"]])


@OPERATIONS.register
def select(node: Node, dtype: str, seed: int) -> list[Step]:
    channels = np.array(node.attributes["channels"])
    return modules.as_layer(node, dtype, lambda x: ops.take(x, channels, axis=-1))


@OPERATIONS.register
def channel_shuffle(node: Node, dtype: str, seed: int) -> list[Step]:
    channels, groups = node.shape[0], node.attributes["groups"]
    order = np.arange(channels).reshape(groups, -1).T.ravel()
    return modules.as_layer(node, dtype, lambda x: ops.take(x, order, axis=-1))


@OPERATIONS.register
def pad(node: Node, dtype: str, seed: int) -> list[Step]:
    padding: tuple[int, ...] = node.attributes["padding"]
    layer = modules.zeros(node, tuple(max(edge, 0) for edge in padding), dtype, suffix="")
    if min(padding) >= 0:
        return [layer]
    top, bottom, left, right = (max(-edge, 0) for edge in padding)
    edges = ((top, bottom), (left, right))
    return [keras.layers.Cropping2D(edges, LAST, dtype=dtype, name=f"{node.name}.crop"), layer]


@OPERATIONS.register
def pad_channels(node: Node, dtype: str, seed: int) -> list[Step]:
    widths = ((0, 0), (0, 0), (0, 0), node.attributes["padding"])
    return modules.as_layer(node, dtype, lambda x: ops.pad(x, widths))


def _glorot(node: Node, seed: int) -> keras.Initializer:
    """Return Keras' default with a seed, which would otherwise come from Python's generator."""
    return keras.initializers.GlorotUniform(seed=_seed(node, seed))


def _seed(node: Node, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}|{node.name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
