"""Describes the Flax layer of each operation; Flax itself is not imported here.

Layers without weights or random numbers are plain functions with settings; see
``zoo.flax.modules``.
"""

from __future__ import annotations

from typing import Any

from zoo.backend.calls import Call, call
from zoo.backend.operations import Operations
from zoo.graphs.nodes import Node

#: operation -> function of a node; the builder adds dtypes and random numbers
OPERATIONS = Operations(
    "flax",
    "Flax NNX",
    relu=lambda: _activation("relu"),
    relu6=lambda: _activation("relu6"),
    sigmoid=lambda: _activation("sigmoid"),
    tanh=lambda: _activation("tanh"),
    hard_sigmoid=lambda: _activation("hard_sigmoid"),
    hard_swish=lambda: _activation("hard_swish"),
    silu=lambda: _activation("silu"),
    gelu=lambda: _activation("gelu"),
    softmax=lambda: _activation("softmax"),
    lrn="zoo.flax.modules.LRN",
    dropout=lambda rate: call("flax.nnx.Dropout", rate=rate),
    global_avg_pool="zoo.flax.modules.GlobalAvgPool",
    adaptive_avg_pool="zoo.flax.modules.AdaptiveAvgPool",
    scale="zoo.flax.modules.Scale",
    flatten="zoo.flax.modules.Flatten",
    concat="zoo.flax.modules.Concat",
    add="zoo.flax.modules.Add",
    multiply="zoo.flax.modules.Multiply",
    slice="zoo.flax.modules.Slice",
    select="zoo.flax.modules.Select",
    channel_shuffle="zoo.flax.modules.ChannelShuffle",
    pad="zoo.flax.modules.Pad",
    pad_channels="zoo.flax.modules.PadChannels",
)


@OPERATIONS.register
def conv(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "flax.nnx.Conv",
        in_features=attrs["in_channels"],
        out_features=attrs["out_channels"],
        kernel_size=attrs["kernel_size"],  # a pair: one number would be a kernel over one axis
        strides=attrs["stride"],
        padding=_pairs(attrs["padding"]),
        kernel_dilation=attrs["dilation"],
        feature_group_count=attrs["groups"],
        use_bias=attrs["bias"],
    )


@OPERATIONS.register
def linear(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "flax.nnx.Linear",
        in_features=attrs["in_features"],
        out_features=attrs["out_features"],
        use_bias=attrs["bias"],
    )


@OPERATIONS.register
def batch_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.flax.modules.batch_norm",
        num_features=attrs["num_features"],
        momentum=1 - attrs["momentum"],  # Flax's is the weight of the old value
        epsilon=attrs["eps"],
        use_scale=attrs["scale"],
        use_bias=attrs["shift"],
        use_fast_variance=False,  # E[x^2] - E[x]^2 cancels
    )


@OPERATIONS.register
def layer_norm(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "flax.nnx.LayerNorm",
        num_features=attrs["num_features"],
        epsilon=attrs["eps"],
        use_scale=attrs["scale"],
        use_bias=attrs["shift"],
        use_fast_variance=False,  # E[x^2] - E[x]^2 cancels
    )


@OPERATIONS.register
def affine(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.flax.modules.Affine",
        num_features=attrs["num_features"],
        shift=attrs["shift"],
        scale_init=attrs["scale_init"],
    )


@OPERATIONS.register
def stochastic_depth(node: Node, *context: Any) -> Call:
    axes = tuple(range(1, len(node.shape) + 1))
    return call("flax.nnx.Dropout", rate=node.attributes["rate"], broadcast_dims=axes)


@OPERATIONS.register
def max_pool(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.flax.modules.MaxPool",
        kernel_size=attrs["kernel_size"],
        stride=attrs["stride"],
        padding=_pairs(attrs["padding"]),
    )


@OPERATIONS.register
def avg_pool(node: Node, *context: Any) -> Call:
    attrs = node.attributes
    return call(
        "zoo.flax.modules.AvgPool",
        kernel_size=attrs["kernel_size"],
        stride=attrs["stride"],
        padding=_pairs(attrs["padding"]),
        counted=None if attrs["counted"] is None else _pairs(attrs["counted"]),
    )


def _activation(name: str) -> Call:
    return call("zoo.flax.modules.Activation", name=name)


def _pairs(padding: tuple[int, int, int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    top, bottom, left, right = padding
    return (top, bottom), (left, right)
