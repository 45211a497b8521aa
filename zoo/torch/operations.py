"""Builds the PyTorch layer of each operation, with parameters that are not filled yet."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.backend.operations import Operations
from zoo.graphs.nodes import Node
from zoo.torch import modules

#: Arguments of every layer with parameters: ``device`` and ``dtype``.
Factory = dict[str, Any]

#: operation -> function of a node and the factory
OPERATIONS = Operations(
    "torch",
    "PyTorch",
    relu=nn.ReLU,
    relu6=nn.ReLU6,
    sigmoid=nn.Sigmoid,
    tanh=nn.Tanh,
    hard_sigmoid=nn.Hardsigmoid,
    hard_swish=nn.Hardswish,
    silu=nn.SiLU,
    gelu=nn.GELU,
    softmax=lambda: nn.Softmax(1),
    lrn=modules.LocalResponseNorm,
    dropout=nn.Dropout,
    global_avg_pool=lambda: nn.AdaptiveAvgPool2d(1),
    adaptive_avg_pool=nn.AdaptiveAvgPool2d,
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
    layer.is_map = len(node.shape) == 3
    return layer


@OPERATIONS.register
def stochastic_depth(node: Node, factory: Factory) -> nn.Module:
    return modules.StochasticDepth(node.attributes["rate"], len(node.shape))


@OPERATIONS.register
def affine(node: Node, factory: Factory) -> nn.Module:
    attrs = node.attributes
    axes = len(node.shape)
    return modules.Affine(attrs["num_features"], attrs["shift"], attrs["scale_init"], axes, factory)


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
    # PyTorch's own layer refuses more than half a kernel.
    native = (top, left) == (bottom, right) and top <= height // 2 and left <= width // 2
    if native and attrs["counted"] in (None, (0, 0, 0, 0)):
        counts = attrs["counted"] is None
        return nn.AvgPool2d(
            attrs["kernel_size"], attrs["stride"], (top, left), count_include_pad=counts
        )
    return modules.PaddedAvgPool2d(
        attrs["kernel_size"], attrs["stride"], attrs["padding"], attrs["counted"]
    )
