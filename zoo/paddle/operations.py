"""How each operation becomes a PaddlePaddle layer."""

from __future__ import annotations

from paddle import nn

from zoo.backend.operations import Operations, attributes
from zoo.graphs.nodes import Node
from zoo.paddle import modules

#: operation -> function of a node and the dtype's name
OPERATIONS = Operations(
    "paddle",
    "PaddlePaddle",
    relu=attributes(nn.ReLU),
    relu6=attributes(nn.ReLU6),
    sigmoid=attributes(nn.Sigmoid),
    tanh=attributes(nn.Tanh),
    hard_sigmoid=attributes(modules.HardSigmoid),
    hard_swish=attributes(nn.Hardswish),
    silu=attributes(nn.Silu),
    gelu=attributes(nn.GELU),
    affine=attributes(modules.Affine, "num_features", "shift", "scale_init"),
    lrn=attributes(modules.LocalResponseNorm, "size", "alpha", "beta", "k"),
    dropout=attributes(modules.Dropout, "rate"),
    stochastic_depth=attributes(modules.StochasticDepth, "rate"),
    global_avg_pool=attributes(lambda: modules.GlobalAvgPool2D(1)),
    adaptive_avg_pool=attributes(modules.AdaptiveAvgPool2D, "output_size", "windows"),
    scale=attributes(modules.Scale, "factor"),
    flatten=attributes(nn.Flatten),
    concat=attributes(modules.Concat),
    add=attributes(modules.Add),
    multiply=attributes(modules.Multiply),
    slice=attributes(modules.Slice, "start", "stop"),
    select=attributes(modules.Select, "channels"),
    channel_shuffle=attributes(modules.ChannelShuffle, "groups"),
    pad_channels=attributes(modules.PadChannels, "padding"),
)


@OPERATIONS.register
def conv(node: Node, dtype: str) -> nn.Layer:
    attrs = node.attributes
    return nn.Conv2D(
        attrs["in_channels"],
        attrs["out_channels"],
        attrs["kernel_size"],
        attrs["stride"],
        _padding(node),
        dilation=attrs["dilation"],
        groups=attrs["groups"],
        bias_attr=None if attrs["bias"] else False,
    )


@OPERATIONS.register
def linear(node: Node, dtype: str) -> nn.Layer:
    attrs = node.attributes
    bias = None if attrs["bias"] else False
    return nn.Linear(attrs["in_features"], attrs["out_features"], bias_attr=bias)


@OPERATIONS.register
def batch_norm(node: Node, dtype: str) -> nn.Layer:
    attrs = node.attributes
    return modules.BatchNorm(
        attrs["num_features"],
        1 - attrs["momentum"],  # Paddle's is the weight of the old value
        attrs["eps"],
        weight_attr=None if attrs["scale"] else False,
        bias_attr=None if attrs["shift"] else False,
    )


@OPERATIONS.register
def layer_norm(node: Node, dtype: str) -> nn.Layer:
    attrs = node.attributes
    return modules.LayerNorm(
        attrs["num_features"],
        attrs["eps"],
        weight_attr=None if attrs["scale"] else False,
        bias_attr=None if attrs["shift"] else False,
    )


@OPERATIONS.register
def max_pool(node: Node, dtype: str) -> nn.Layer:
    attrs = node.attributes
    return nn.MaxPool2D(attrs["kernel_size"], attrs["stride"], _padding(node))


@OPERATIONS.register
def avg_pool(node: Node, dtype: str) -> nn.Layer:
    attrs = node.attributes
    top, bottom, left, right = attrs["padding"]
    if attrs["counts"] is None and (top, left) == (bottom, right):
        return modules.AvgPool2D(
            attrs["kernel_size"], attrs["stride"], (top, left), exclusive=False
        )
    return modules.PaddedAvgPool2D(
        attrs["kernel_size"], attrs["stride"], attrs["padding"], attrs["counts"], dtype
    )


def _padding(node: Node) -> list[int]:
    """Top, bottom, left, right, as Paddle's own layers take it; in a max pool it never wins."""
    return list(node.attributes["padding"])
