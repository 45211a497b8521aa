"""One function an operation: a node as a PaddlePaddle layer."""

from __future__ import annotations

from collections.abc import Callable

from paddle import nn

from zoo.graphs.nodes import Node
from zoo.paddle import modules


def conv(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return nn.Conv2D(
        at["in_channels"],
        at["out_channels"],
        at["kernel_size"],
        at["stride"],
        _padding(node),
        dilation=at["dilation"],
        groups=at["groups"],
        bias_attr=None if at["bias"] else False,
    )


def linear(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    bias = None if at["bias"] else False
    return nn.Linear(at["in_features"], at["out_features"], bias_attr=bias)


def batch_norm(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return modules.BatchNorm(
        at["num_features"],
        1 - at["momentum"],  # Paddle's is the weight of the old value
        at["eps"],
        weight_attr=None if at["scale"] else False,
        bias_attr=None if at["shift"] else False,
    )


def layer_norm(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return modules.LayerNorm(
        at["num_features"],
        at["eps"],
        weight_attr=None if at["scale"] else False,
        bias_attr=None if at["shift"] else False,
    )


def affine(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return modules.Affine(at["num_features"], at["shift"], at["scale_init"])


def lrn(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return modules.LocalResponseNorm(at["size"], at["alpha"], at["beta"], at["k"])


def relu(node: Node, dtype: str) -> nn.Layer:
    return nn.ReLU()


def relu6(node: Node, dtype: str) -> nn.Layer:
    return nn.ReLU6()


def sigmoid(node: Node, dtype: str) -> nn.Layer:
    return nn.Sigmoid()


def tanh(node: Node, dtype: str) -> nn.Layer:
    return nn.Tanh()


def hard_sigmoid(node: Node, dtype: str) -> nn.Layer:
    return modules.HardSigmoid()


def hard_swish(node: Node, dtype: str) -> nn.Layer:
    return nn.Hardswish()


def silu(node: Node, dtype: str) -> nn.Layer:
    return nn.Silu()


def gelu(node: Node, dtype: str) -> nn.Layer:
    return nn.GELU()


def dropout(node: Node, dtype: str) -> nn.Layer:
    return modules.Dropout(node.attributes["rate"])


def stochastic_depth(node: Node, dtype: str) -> nn.Layer:
    return modules.StochasticDepth(node.attributes["rate"])


def max_pool(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return nn.MaxPool2D(at["kernel_size"], at["stride"], _padding(node))


def avg_pool(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    top, bottom, left, right = at["padding"]
    if at["counts"] is None and (top, left) == (bottom, right):
        return modules.AvgPool2D(at["kernel_size"], at["stride"], (top, left), exclusive=False)
    return modules.PaddedAvgPool2D(
        at["kernel_size"], at["stride"], at["padding"], at["counts"], dtype
    )


def global_avg_pool(node: Node, dtype: str) -> nn.Layer:
    return modules.GlobalAvgPool2D(1)


def adaptive_avg_pool(node: Node, dtype: str) -> nn.Layer:
    return modules.AdaptiveAvgPool2D(node.attributes["output_size"], node.attributes["windows"])


def scale(node: Node, dtype: str) -> nn.Layer:
    return modules.Scale(node.attributes["factor"])


def flatten(node: Node, dtype: str) -> nn.Layer:
    return nn.Flatten()


def concat(node: Node, dtype: str) -> nn.Layer:
    return modules.Concat()


def add(node: Node, dtype: str) -> nn.Layer:
    return modules.Add()


def multiply(node: Node, dtype: str) -> nn.Layer:
    return modules.Multiply()


def slice(node: Node, dtype: str) -> nn.Layer:
    return modules.Slice(node.attributes["start"], node.attributes["stop"])


def select(node: Node, dtype: str) -> nn.Layer:
    return modules.Select(node.attributes["channels"])


def channel_shuffle(node: Node, dtype: str) -> nn.Layer:
    return modules.ChannelShuffle(node.attributes["groups"])


def pad_channels(node: Node, dtype: str) -> nn.Layer:
    return modules.PadChannels(node.attributes["padding"])


#: op name -> function
LAYERS: dict[str, Callable[[Node, str], nn.Layer]] = {
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


def _padding(node: Node) -> list[int]:
    """Top, bottom, left, right, as Paddle's own layers take it; in a max pool it never wins."""
    return list(node.attributes["padding"])
