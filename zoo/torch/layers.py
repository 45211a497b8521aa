"""One function an operation: a node as a PyTorch layer, with its parameters not yet filled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from zoo.graphs.nodes import Node
from zoo.torch import modules

#: What every layer with parameters is made with: ``device`` and ``dtype``.
Factory = dict[str, Any]


def conv(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    top, bottom, left, right = at["padding"]
    symmetric = top == bottom and left == right
    layer = (nn.Conv2d if symmetric else modules.PaddedConv2d)(
        at["in_channels"],
        at["out_channels"],
        at["kernel_size"],
        at["stride"],
        (top, left) if symmetric else 0,
        at["dilation"],
        at["groups"],
        at["bias"],
        **factory,
    )
    if isinstance(layer, modules.PaddedConv2d):
        layer.edges = (left, right, top, bottom)
    return layer


def linear(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    return nn.Linear(at["in_features"], at["out_features"], at["bias"], **factory)


def batch_norm(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    layer = modules.BatchNorm(at["num_features"], at["eps"], at["momentum"], **factory)
    if not at["scale"]:
        layer.register_parameter("weight", None)
    if not at["shift"]:
        layer.register_parameter("bias", None)
    return layer


def layer_norm(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    layer = modules.LayerNorm(at["num_features"], at["eps"], bias=at["shift"], **factory)
    if not at["scale"]:
        layer.register_parameter("weight", None)
    return layer


def affine(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    return modules.Affine(at["num_features"], at["shift"], at["scale_init"], factory)


def lrn(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    return modules.LocalResponseNorm(at["size"], at["alpha"], at["beta"], at["k"])


def relu(node: Node, factory: Factory) -> nn.Module:
    return nn.ReLU()


def relu6(node: Node, factory: Factory) -> nn.Module:
    return nn.ReLU6()


def sigmoid(node: Node, factory: Factory) -> nn.Module:
    return nn.Sigmoid()


def tanh(node: Node, factory: Factory) -> nn.Module:
    return nn.Tanh()


def hard_sigmoid(node: Node, factory: Factory) -> nn.Module:
    return nn.Hardsigmoid()


def hard_swish(node: Node, factory: Factory) -> nn.Module:
    return nn.Hardswish()


def silu(node: Node, factory: Factory) -> nn.Module:
    return nn.SiLU()


def gelu(node: Node, factory: Factory) -> nn.Module:
    return nn.GELU()


def dropout(node: Node, factory: Factory) -> nn.Module:
    return nn.Dropout(node.attributes["rate"])


def stochastic_depth(node: Node, factory: Factory) -> nn.Module:
    return modules.StochasticDepth(node.attributes["rate"])


def max_pool(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    if at["symmetric"]:
        height, width, ceil_mode = at["symmetric"]
        return nn.MaxPool2d(at["kernel_size"], at["stride"], (height, width), ceil_mode=ceil_mode)
    return modules.PaddedMaxPool2d(at["kernel_size"], at["stride"], at["padding"])


def avg_pool(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    top, bottom, left, right = at["padding"]
    height, width = at["kernel_size"]
    native = top <= height // 2 and left <= width // 2  # PyTorch's own layer refuses more
    if native and at["counts"] is None and (top, left) == (bottom, right):
        return nn.AvgPool2d(at["kernel_size"], at["stride"], (top, left))
    return modules.PaddedAvgPool2d(
        at["kernel_size"], at["stride"], at["padding"], at["counts"], factory
    )


def global_avg_pool(node: Node, factory: Factory) -> nn.Module:
    return nn.AdaptiveAvgPool2d(1)


def adaptive_avg_pool(node: Node, factory: Factory) -> nn.Module:
    return nn.AdaptiveAvgPool2d(node.attributes["output_size"])


def scale(node: Node, factory: Factory) -> nn.Module:
    return modules.Scale(node.attributes["factor"])


def flatten(node: Node, factory: Factory) -> nn.Module:
    return nn.Flatten()


def concat(node: Node, factory: Factory) -> nn.Module:
    return modules.Concat()


def add(node: Node, factory: Factory) -> nn.Module:
    return modules.Add()


def multiply(node: Node, factory: Factory) -> nn.Module:
    return modules.Multiply()


def slice(node: Node, factory: Factory) -> nn.Module:
    return modules.Slice(node.attributes["start"], node.attributes["stop"])


def select(node: Node, factory: Factory) -> nn.Module:
    return modules.Select(node.attributes["channels"])


def channel_shuffle(node: Node, factory: Factory) -> nn.Module:
    return modules.ChannelShuffle(node.attributes["groups"])


def pad_channels(node: Node, factory: Factory) -> nn.Module:
    return modules.PadChannels(node.attributes["padding"])


#: op name -> function
LAYERS: dict[str, Callable[[Node, Factory], nn.Module]] = {
    function.__name__: function
    for function in (
        conv,
        linear,
        batch_norm,
        layer_norm,
        affine,
        lrn,
        relu,
        relu6,
        sigmoid,
        tanh,
        hard_sigmoid,
        hard_swish,
        silu,
        gelu,
        dropout,
        stochastic_depth,
        max_pool,
        avg_pool,
        global_avg_pool,
        adaptive_avg_pool,
        scale,
        flatten,
        concat,
        add,
        multiply,
        slice,
        select,
        channel_shuffle,
        pad_channels,
    )
}
