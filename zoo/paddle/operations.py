"""Builds the PaddlePaddle layer of each operation."""

from __future__ import annotations

from typing import NamedTuple

import paddle
from paddle import nn

from zoo.backend.operations import Operations
from zoo.graphs.nodes import Node
from zoo.paddle import modules


class Factory(NamedTuple):
    """What every layer is made with.

    Attributes:
        dtype: The name of the dtype.
        attr: Settings of every parameter; None for Paddle's own, which initialize it.
    """

    dtype: str
    attr: paddle.ParamAttr | None = None

    def given(self, condition: bool) -> paddle.ParamAttr | bool | None:
        """Return the settings of a parameter that a layer has only under a condition."""
        return self.attr if condition else False


#: operation -> function of a node and the factory
OPERATIONS = Operations(
    "paddle",
    "PaddlePaddle",
    relu=nn.ReLU,
    relu6=nn.ReLU6,
    sigmoid=nn.Sigmoid,
    tanh=nn.Tanh,
    hard_sigmoid=modules.HardSigmoid,
    hard_swish=nn.Hardswish,
    silu=nn.Silu,
    gelu=nn.GELU,
    softmax=lambda: nn.Softmax(1),
    lrn=modules.LocalResponseNorm,
    dropout=modules.Dropout,
    stochastic_depth=modules.StochasticDepth,
    global_avg_pool=lambda: modules.GlobalAvgPool2D(1),
    scale=modules.Scale,
    flatten=nn.Flatten,
    concat=modules.Concat,
    add=modules.Add,
    multiply=modules.Multiply,
    slice=modules.Slice,
    select=modules.Select,
    channel_shuffle=modules.ChannelShuffle,
    pad=modules.Pad,
    pad_channels=modules.PadChannels,
)


@OPERATIONS.register
def conv(node: Node, factory: Factory) -> nn.Layer:
    attrs = node.attributes
    return nn.Conv2D(
        attrs["in_channels"],
        attrs["out_channels"],
        attrs["kernel_size"],
        attrs["stride"],
        _padding(node),
        dilation=attrs["dilation"],
        groups=attrs["groups"],
        weight_attr=factory.attr,
        bias_attr=factory.given(attrs["bias"]),
    )


@OPERATIONS.register
def linear(node: Node, factory: Factory) -> nn.Layer:
    attrs = node.attributes
    bias = factory.given(attrs["bias"])
    return nn.Linear(attrs["in_features"], attrs["out_features"], factory.attr, bias)


@OPERATIONS.register
def batch_norm(node: Node, factory: Factory) -> nn.Layer:
    attrs = node.attributes
    return modules.BatchNorm(
        attrs["num_features"],
        1 - attrs["momentum"],  # Paddle's is the weight of the old value
        attrs["eps"],
        weight_attr=factory.given(attrs["scale"]),
        bias_attr=factory.given(attrs["shift"]),
    )


@OPERATIONS.register
def layer_norm(node: Node, factory: Factory) -> nn.Layer:
    attrs = node.attributes
    return modules.LayerNorm(
        attrs["num_features"],
        attrs["eps"],
        weight_attr=factory.given(attrs["scale"]),
        bias_attr=factory.given(attrs["shift"]),
    )


@OPERATIONS.register
def affine(node: Node, factory: Factory) -> nn.Layer:
    attrs = node.attributes
    return modules.Affine(attrs["num_features"], attrs["shift"], attrs["scale_init"], factory.attr)


@OPERATIONS.register
def adaptive_avg_pool(node: Node, factory: Factory) -> nn.Layer:
    return modules.AdaptiveAvgPool2D(node.attributes["output_size"])


@OPERATIONS.register
def max_pool(node: Node, factory: Factory) -> nn.Layer:
    attrs = node.attributes
    return nn.MaxPool2D(attrs["kernel_size"], attrs["stride"], _padding(node))


@OPERATIONS.register
def avg_pool(node: Node, factory: Factory) -> nn.Layer:
    attrs = node.attributes
    top, bottom, left, right = attrs["padding"]
    if attrs["counted"] is None and (top, left) == (bottom, right):
        return modules.AvgPool2D(
            attrs["kernel_size"], attrs["stride"], (top, left), exclusive=False
        )
    return modules.PaddedAvgPool2D(
        attrs["kernel_size"], attrs["stride"], attrs["padding"], attrs["counted"]
    )


def _padding(node: Node) -> list[int]:
    """Return top, bottom, left, right, as Paddle's layers take it; max pools ignore padding."""
    return list(node.attributes["padding"])
