"""How each operation becomes a PyTorch layer, with its parameters not yet filled."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.backend.operations import Operations, attributes
from zoo.graphs.nodes import Node
from zoo.torch import modules

#: What every layer with parameters is made with: ``device`` and ``dtype``.
Factory = dict[str, Any]

#: operation -> function of a node and the factory
OPERATIONS = Operations(
    "torch",
    "PyTorch",
    relu=attributes(nn.ReLU),
    relu6=attributes(nn.ReLU6),
    sigmoid=attributes(nn.Sigmoid),
    tanh=attributes(nn.Tanh),
    hard_sigmoid=attributes(nn.Hardsigmoid),
    hard_swish=attributes(nn.Hardswish),
    silu=attributes(nn.SiLU),
    gelu=attributes(nn.GELU),
    lrn=attributes(modules.LocalResponseNorm, "size", "alpha", "beta", "k"),
    dropout=attributes(nn.Dropout, "rate"),
    stochastic_depth=attributes(modules.StochasticDepth, "rate"),
    global_avg_pool=attributes(lambda: nn.AdaptiveAvgPool2d(1)),
    adaptive_avg_pool=attributes(nn.AdaptiveAvgPool2d, "output_size"),
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
def conv(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    top, bottom, left, right = attrs["padding"]
    symmetric = top == bottom and left == right
    layer = (nn.Conv2d if symmetric else modules.PaddedConv2d)(
        attrs["in_channels"],
        attrs["out_channels"],
        attrs["kernel_size"],
        attrs["stride"],
        (top, left) if symmetric else 0,
        attrs["dilation"],
        attrs["groups"],
        attrs["bias"],
        **factory,
    )
    if isinstance(layer, modules.PaddedConv2d):
        layer.edges = (left, right, top, bottom)
    return layer


@OPERATIONS.register
def linear(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    return nn.Linear(attrs["in_features"], attrs["out_features"], attrs["bias"], **factory)


@OPERATIONS.register
def batch_norm(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    layer = modules.BatchNorm(attrs["num_features"], attrs["eps"], attrs["momentum"], **factory)
    if not attrs["scale"]:
        layer.register_parameter("weight", None)
    if not attrs["shift"]:
        layer.register_parameter("bias", None)
    return layer


@OPERATIONS.register
def layer_norm(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    layer = modules.LayerNorm(attrs["num_features"], attrs["eps"], bias=attrs["shift"], **factory)
    if not attrs["scale"]:
        layer.register_parameter("weight", None)
    return layer


@OPERATIONS.register
def affine(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    return modules.Affine(attrs["num_features"], attrs["shift"], attrs["scale_init"], factory)


@OPERATIONS.register
def max_pool(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    if attrs["symmetric"]:
        height, width, ceil_mode = attrs["symmetric"]
        return nn.MaxPool2d(
            attrs["kernel_size"], attrs["stride"], (height, width), ceil_mode=ceil_mode
        )
    return modules.PaddedMaxPool2d(attrs["kernel_size"], attrs["stride"], attrs["padding"])


@OPERATIONS.register
def avg_pool(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    top, bottom, left, right = attrs["padding"]
    height, width = attrs["kernel_size"]
    native = top <= height // 2 and left <= width // 2  # PyTorch's own layer refuses more
    if native and attrs["counts"] is None and (top, left) == (bottom, right):
        return nn.AvgPool2d(attrs["kernel_size"], attrs["stride"], (top, left))
    return modules.PaddedAvgPool2d(
        attrs["kernel_size"], attrs["stride"], attrs["padding"], attrs["counts"], factory
    )
