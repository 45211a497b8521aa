"""Describes the PyTorch layer of each operation; PyTorch itself is not imported here."""

from __future__ import annotations

from typing import Any

from zoo.backend.calls import Call, call
from zoo.backend.operations import Operations
from zoo.graphs.nodes import Node

#: operation -> function of a node; the builder adds ``device`` and ``dtype``
OPERATIONS = Operations(
    "torch",
    "PyTorch",
    relu="torch.nn.ReLU",
    relu6="torch.nn.ReLU6",
    sigmoid="torch.nn.Sigmoid",
    tanh="torch.nn.Tanh",
    hard_sigmoid="zoo.torch.modules.HardSigmoid",
    hard_swish="torch.nn.Hardswish",
    silu="torch.nn.SiLU",
    gelu="torch.nn.GELU",
    softmax=lambda: call("torch.nn.Softmax", dim=1),
    lrn="zoo.torch.modules.LocalResponseNorm",
    dropout=lambda rate: call("torch.nn.Dropout", p=rate),
    global_avg_pool=lambda: call("torch.nn.AdaptiveAvgPool2d", output_size=1),
    adaptive_avg_pool="torch.nn.AdaptiveAvgPool2d",
    scale="zoo.torch.modules.Scale",
    flatten="torch.nn.Flatten",
    concat="zoo.torch.modules.Concat",
    add="zoo.torch.modules.Add",
    multiply="zoo.torch.modules.Multiply",
    slice="zoo.torch.modules.Slice",
    select="zoo.torch.modules.Select",
    channel_shuffle="zoo.torch.modules.ChannelShuffle",
    pad="zoo.torch.modules.Pad",
    pad_channels="zoo.torch.modules.PadChannels",
)


@OPERATIONS.register
def conv(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    top, bottom, left, right = attrs["padding"]
    symmetric = top == bottom and left == right
    edges = {} if symmetric else {"edges": (left, right, top, bottom)}
    return call(
        "torch.nn.Conv2d" if symmetric else "zoo.torch.modules.PaddedConv2d",
        in_channels=attrs["in_channels"],
        out_channels=attrs["out_channels"],
        kernel_size=attrs["kernel_size"],
        stride=attrs["stride"],
        padding=(top, left) if symmetric else 0,
        dilation=attrs["dilation"],
        groups=attrs["groups"],
        bias=attrs["bias"],
        **edges,
    )


@OPERATIONS.register
def linear(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "torch.nn.Linear",
        in_features=attrs["in_features"],
        out_features=attrs["out_features"],
        bias=attrs["bias"],
    )


@OPERATIONS.register
def batch_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.torch.modules.BatchNorm",
        num_features=attrs["num_features"],
        eps=attrs["eps"],
        momentum=attrs["momentum"],
        scale=attrs["scale"],
        shift=attrs["shift"],
    )


@OPERATIONS.register
def layer_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.torch.modules.LayerNorm",
        num_features=attrs["num_features"],
        eps=attrs["eps"],
        scale=attrs["scale"],
        shift=attrs["shift"],
        is_map=len(node.shape) == 3,
    )


@OPERATIONS.register
def stochastic_depth(node: Node, *context: Any) -> Call:
    axes = len(node.shape)
    return call("zoo.torch.modules.StochasticDepth", rate=node.attributes["rate"], axes=axes)


@OPERATIONS.register
def affine(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.torch.modules.Affine",
        num_features=attrs["num_features"],
        shift=attrs["shift"],
        scale_init=attrs["scale_init"],
        axes=len(node.shape),
    )


@OPERATIONS.register
def max_pool(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    windows = {"kernel_size": attrs["kernel_size"], "stride": attrs["stride"]}
    if attrs["symmetric"]:
        height, width, ceil_mode = attrs["symmetric"]
        padding = (height, width)
        return call("torch.nn.MaxPool2d", **windows, padding=padding, ceil_mode=ceil_mode)
    return call("zoo.torch.modules.PaddedMaxPool2d", **windows, padding=attrs["padding"])


@OPERATIONS.register
def avg_pool(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    windows = {"kernel_size": attrs["kernel_size"], "stride": attrs["stride"]}
    top, bottom, left, right = attrs["padding"]
    height, width = attrs["kernel_size"]
    # PyTorch's own layer refuses more than half a kernel.
    native = (top, left) == (bottom, right) and top <= height // 2 and left <= width // 2
    if native and attrs["counted"] in (None, (0, 0, 0, 0)):
        counts = attrs["counted"] is None
        padding = (top, left)
        return call("torch.nn.AvgPool2d", **windows, padding=padding, count_include_pad=counts)
    padding, counted = attrs["padding"], attrs["counted"]
    return call("zoo.torch.modules.PaddedAvgPool2d", **windows, padding=padding, counted=counted)
