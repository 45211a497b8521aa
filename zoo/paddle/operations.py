"""Describes the PaddlePaddle layer of each operation; Paddle itself is not imported here."""

from __future__ import annotations

from typing import Any

from zoo.backend.calls import Call, call
from zoo.backend.operations import Operations
from zoo.graphs.nodes import Node

#: operation -> function of a node; the builder adds the attributes of parameters
OPERATIONS = Operations(
    "paddle",
    "PaddlePaddle",
    relu="paddle.nn.ReLU",
    relu6="paddle.nn.ReLU6",
    sigmoid="paddle.nn.Sigmoid",
    tanh="paddle.nn.Tanh",
    hard_sigmoid="zoo.paddle.modules.HardSigmoid",
    hard_swish="paddle.nn.Hardswish",
    silu="paddle.nn.Silu",
    gelu="paddle.nn.GELU",
    softmax=lambda: call("paddle.nn.Softmax", axis=1),
    lrn="zoo.paddle.modules.LocalResponseNorm",
    dropout=lambda rate: call("zoo.paddle.modules.Dropout", p=rate),
    stochastic_depth="zoo.paddle.modules.StochasticDepth",
    global_avg_pool=lambda: call("zoo.paddle.modules.GlobalAvgPool2D", output_size=1),
    adaptive_avg_pool="zoo.paddle.modules.AdaptiveAvgPool2D",
    scale="zoo.paddle.modules.Scale",
    flatten="paddle.nn.Flatten",
    concat="zoo.paddle.modules.Concat",
    add="zoo.paddle.modules.Add",
    multiply="zoo.paddle.modules.Multiply",
    slice="zoo.paddle.modules.Slice",
    select="zoo.paddle.modules.Select",
    channel_shuffle="zoo.paddle.modules.ChannelShuffle",
    pad="zoo.paddle.modules.Pad",
    pad_channels="zoo.paddle.modules.PadChannels",
)


@OPERATIONS.register
def conv(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "paddle.nn.Conv2D",
        in_channels=attrs["in_channels"],
        out_channels=attrs["out_channels"],
        kernel_size=attrs["kernel_size"],
        stride=attrs["stride"],
        padding=_padding(node),
        dilation=attrs["dilation"],
        groups=attrs["groups"],
        bias_attr=_given(attrs["bias"]),
    )


@OPERATIONS.register
def linear(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "paddle.nn.Linear",
        in_features=attrs["in_features"],
        out_features=attrs["out_features"],
        bias_attr=_given(attrs["bias"]),
    )


@OPERATIONS.register
def batch_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.paddle.modules.BatchNorm",
        num_features=attrs["num_features"],
        momentum=1 - attrs["momentum"],  # Paddle's is the weight of the old value
        epsilon=attrs["eps"],
        weight_attr=_given(attrs["scale"]),
        bias_attr=_given(attrs["shift"]),
    )


@OPERATIONS.register
def layer_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.paddle.modules.LayerNorm",
        normalized_shape=attrs["num_features"],
        epsilon=attrs["eps"],
        weight_attr=_given(attrs["scale"]),
        bias_attr=_given(attrs["shift"]),
    )


@OPERATIONS.register
def affine(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.paddle.modules.Affine",
        num_features=attrs["num_features"],
        scale_init=attrs["scale_init"],
        bias_attr=_given(attrs["shift"]),
    )


@OPERATIONS.register
def max_pool(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "paddle.nn.MaxPool2D",
        kernel_size=attrs["kernel_size"],
        stride=attrs["stride"],
        padding=_padding(node),
    )


@OPERATIONS.register
def avg_pool(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    windows = {"kernel_size": attrs["kernel_size"], "stride": attrs["stride"]}
    top, bottom, left, right = attrs["padding"]
    if attrs["counted"] is None and (top, left) == (bottom, right):
        padding = (top, left)
        return call("zoo.paddle.modules.AvgPool2D", **windows, padding=padding, exclusive=False)
    padding, counted = attrs["padding"], attrs["counted"]
    return call("zoo.paddle.modules.PaddedAvgPool2D", **windows, padding=padding, counted=counted)


def _given(condition: bool) -> bool | None:
    """Return the attributes of a parameter: Paddle's own, or False for a layer without it."""
    return None if condition else False


def _padding(node: Node) -> list[int]:
    """Return top, bottom, left, right, as Paddle's layers take it; max pools ignore padding."""
    return list(node.attributes["padding"])
