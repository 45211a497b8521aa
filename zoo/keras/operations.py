"""Describes the Keras layer of each operation; Keras itself is not imported here.

A description may state more than the arguments of the layer: in ``edges`` the zeros around its
input (of a maximum, negative infinity), in ``sampling`` the steps at which its input is read before
them, and in ``crop`` what is removed of it. The builder makes layers of their own for these. What
Keras has no layer for is a function of ``zoo.keras.modules`` and its settings.
"""

from __future__ import annotations

import math
from typing import Any

from zoo.backend.calls import Call, call
from zoo.backend.operations import Operations
from zoo.backend.padding import padding
from zoo.errors import BackendError
from zoo.graphs.nodes import Node

#: operation -> function of a node; the builder adds name, dtype, data format and initializers
OPERATIONS = Operations(
    "keras",
    "Keras",
    relu=lambda: _activation("relu"),
    relu6=lambda: _activation("relu6"),
    sigmoid=lambda: _activation("sigmoid"),
    tanh=lambda: _activation("tanh"),
    hard_sigmoid="zoo.keras.modules.hard_sigmoid",
    hard_swish="zoo.keras.modules.hard_swish",
    silu=lambda: _activation("silu"),
    gelu="zoo.keras.modules.gelu",
    softmax=lambda: _activation("softmax"),
    lrn="zoo.keras.modules.lrn",
    dropout=lambda rate: call("keras.layers.Dropout", rate=rate),
    global_avg_pool=lambda: call("keras.layers.GlobalAveragePooling2D", keepdims=True),
    adaptive_avg_pool="zoo.keras.modules.adaptive_avg_pool",
    scale="zoo.keras.modules.scale",
    flatten="keras.layers.Flatten",
    concat="keras.layers.Concatenate",
    add="keras.layers.Add",
    multiply="keras.layers.Multiply",
    slice="zoo.keras.modules.channels",
    select="zoo.keras.modules.select",
    channel_shuffle="zoo.keras.modules.channel_shuffle",
    pad_channels="zoo.keras.modules.pad_channels",
)


@OPERATIONS.register
def conv(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    stride, dilation, groups = attrs["stride"], attrs["dilation"], attrs["groups"]
    edges, mode = padding(node)
    # Keras has no convolution that is both strided and dilated. A common divisor of the two can be
    # applied to the input instead, by dropping the values that the convolution skips.
    step = tuple(map(math.gcd, stride, dilation))
    if max(step) > 1:
        edges, mode = attrs["padding"], "valid"
        stride, dilation = (
            tuple(a // b for a, b in zip(p, step, strict=True)) for p in (stride, dilation)
        )
    if max(stride) > 1 and max(dilation) > 1:
        raise BackendError(
            f"{node.name}: Keras has no convolution of stride {list(attrs['stride'])} and dilation "
            f"{list(attrs['dilation'])}; use another backend"
        )
    settings = {
        "kernel_size": attrs["kernel_size"],
        "strides": stride,
        "edges": edges,
        "padding": mode,
        "dilation_rate": dilation,
        "use_bias": attrs["bias"],
    }
    if max(step) > 1:
        settings["sampling"] = step
    # TensorFlow's depthwise kernels are 30 times faster than groups, but require equal strides.
    if groups == attrs["in_channels"] > 1 and stride[0] == stride[1]:
        multiplier = attrs["out_channels"] // groups
        return call("keras.layers.DepthwiseConv2D", **settings, depth_multiplier=multiplier)
    return call("keras.layers.Conv2D", filters=attrs["out_channels"], **settings, groups=groups)


@OPERATIONS.register
def linear(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call("keras.layers.Dense", units=attrs["out_features"], use_bias=attrs["bias"])


@OPERATIONS.register
def batch_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "keras.layers.BatchNormalization",
        momentum=1 - attrs["momentum"],  # Keras' is the weight of the old value
        epsilon=attrs["eps"],
        center=attrs["shift"],
        scale=attrs["scale"],
    )


@OPERATIONS.register
def layer_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "keras.layers.LayerNormalization",
        epsilon=attrs["eps"],
        center=attrs["shift"],
        scale=attrs["scale"],
    )


@OPERATIONS.register
def affine(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "keras.layers.EinsumDense",
        equation="...c,c->...c",
        output_shape=(attrs["num_features"],),
        bias_axes="c" if attrs["shift"] else None,
        kernel_initializer=call("keras.initializers.Constant", value=attrs["scale_init"]),
    )


@OPERATIONS.register
def stochastic_depth(node: Node, *context: Any) -> Call:
    shape = (None, *(1 for _ in node.shape))
    return call("keras.layers.Dropout", rate=node.attributes["rate"], noise_shape=shape)


@OPERATIONS.register
def max_pool(node: Node, *context: Any) -> Call:
    edges, mode = padding(node)
    return call("keras.layers.MaxPooling2D", **_windows(node), edges=edges, padding=mode)


@OPERATIONS.register
def avg_pool(node: Node, *context: Any) -> Call:
    edges, counted = node.attributes["padding"], node.attributes["counted"]
    average, windows = "keras.layers.AveragePooling2D", _windows(node)
    if counted is None:
        return call(average, **windows, edges=edges, padding="valid")
    if counted == (0, 0, 0, 0) and padding(node)[1] == "same":
        return call(average, **windows, padding="same")  # Keras never counts its padding
    return call("zoo.keras.modules.avg_pool", **windows, edges=edges, counted=counted)


@OPERATIONS.register
def pad(node: Node, *context: Any) -> Call:
    top, bottom, left, right = (max(edge, 0) for edge in node.attributes["padding"])
    crop = tuple(max(-edge, 0) for edge in node.attributes["padding"])
    zeros = call("keras.layers.ZeroPadding2D", padding=((top, bottom), (left, right)))
    return Call(zeros.target, {**zeros.arguments, "crop": crop}) if any(crop) else zeros


def _activation(name: str) -> Call:
    return call("keras.layers.Activation", activation=name)


def _windows(node: Node) -> dict[str, Any]:
    return {"pool_size": node.attributes["kernel_size"], "strides": node.attributes["stride"]}
