"""Builds the Flax layer of each operation.

With ``rngs``, Flax's own initializers draw the parameters. Without, nothing is drawn or compiled:
the caller fills the parameters, and gives each dropout its random stream. Layers without weights or
random numbers are plain functions with settings; see ``zoo.flax.modules``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from flax import nnx

from zoo.backend.operations import Operations
from zoo.flax import modules
from zoo.graphs.nodes import Node

Layer = Callable[..., Any]


#: operation -> function of a node, the dtype, and ``nnx.Rngs`` or None
OPERATIONS = Operations(
    "flax",
    "Flax NNX",
    relu=lambda: modules.Activation("relu"),
    relu6=lambda: modules.Activation("relu6"),
    sigmoid=lambda: modules.Activation("sigmoid"),
    tanh=lambda: modules.Activation("tanh"),
    hard_sigmoid=lambda: modules.Activation("hard_sigmoid"),
    hard_swish=lambda: modules.Activation("hard_swish"),
    silu=lambda: modules.Activation("silu"),
    gelu=lambda: modules.Activation("gelu"),
    softmax=lambda: modules.Activation("softmax"),
    lrn=modules.LRN,
    global_avg_pool=modules.GlobalAvgPool,
    scale=modules.Scale,
    flatten=modules.Flatten,
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
def conv(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    attrs = node.attributes
    return nnx.Conv(
        attrs["in_channels"],
        attrs["out_channels"],
        attrs["kernel_size"],  # a tuple: one number would be a one-dimensional convolution
        attrs["stride"],
        padding=_pairs(attrs["padding"]),
        kernel_dilation=attrs["dilation"],
        feature_group_count=attrs["groups"],
        use_bias=attrs["bias"],
        dtype=dtype,
        param_dtype=dtype,
        **_initial(rngs),
    )


@OPERATIONS.register
def linear(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    attrs = node.attributes
    return nnx.Linear(
        attrs["in_features"],
        attrs["out_features"],
        use_bias=attrs["bias"],
        dtype=dtype,
        param_dtype=dtype,
        **_initial(rngs),
    )


@OPERATIONS.register
def batch_norm(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    if rngs is None:  # shapes only: Flax would compile a function for each width
        layer: nnx.BatchNorm = nnx.eval_shape(lambda: _batch_norm(node, dtype, _Keyless()))
        return layer
    return _batch_norm(node, dtype, rngs)


def _batch_norm(node: Node, dtype: Any, rngs: Any) -> nnx.BatchNorm:
    attrs = node.attributes
    layer = (nnx.BatchNorm if dtype.itemsize >= 4 else modules.HalfBatchNorm)(
        attrs["num_features"],
        momentum=1 - attrs["momentum"],  # in Flax the weight of the old value
        epsilon=attrs["eps"],
        use_scale=attrs["scale"],
        use_bias=attrs["shift"],
        use_fast_variance=False,  # E[x^2] - E[x]^2 cancels
        dtype=dtype,
        param_dtype=dtype,
        rngs=rngs,
    )
    # Flax creates the statistics in float32, whatever param_dtype is.
    layer.mean.set_value(layer.mean[...].astype(dtype))
    layer.var.set_value(layer.var[...].astype(dtype))
    return layer


@OPERATIONS.register
def layer_norm(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    attrs = node.attributes
    make = partial(
        nnx.LayerNorm,
        attrs["num_features"],
        epsilon=attrs["eps"],
        use_scale=attrs["scale"],
        use_bias=attrs["shift"],
        use_fast_variance=False,  # E[x^2] - E[x]^2 cancels
        dtype=dtype,
        param_dtype=dtype,
    )
    if rngs is None:  # shapes only: Flax would compile a function for each width
        layer: nnx.LayerNorm = nnx.eval_shape(lambda: make(rngs=_Keyless()))
        return layer
    return make(rngs=rngs)


@OPERATIONS.register
def affine(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    attrs = node.attributes
    return modules.Affine(attrs["num_features"], attrs["shift"], attrs["scale_init"], dtype)


@OPERATIONS.register
def dropout(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    return nnx.Dropout(node.attributes["rate"], rngs=rngs)


@OPERATIONS.register
def stochastic_depth(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    axes = tuple(range(1, len(node.shape) + 1))
    return nnx.Dropout(node.attributes["rate"], broadcast_dims=axes, rngs=rngs)


@OPERATIONS.register
def adaptive_avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.AdaptiveAvgPool(node.attributes["output_size"])


@OPERATIONS.register
def max_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    attrs = node.attributes
    return modules.MaxPool(attrs["kernel_size"], attrs["stride"], _pairs(attrs["padding"]))


@OPERATIONS.register
def avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    attrs = node.attributes
    counted = None if attrs["counted"] is None else _pairs(attrs["counted"])
    return modules.AvgPool(attrs["kernel_size"], attrs["stride"], _pairs(attrs["padding"]), counted)


class _Keyless:
    """Replaces ``nnx.Rngs`` if no initializer uses its keys."""

    def params(self) -> None:
        return None


def _pairs(padding: tuple[int, int, int, int]) -> modules.Pairs:
    top, bottom, left, right = padding
    return (top, bottom), (left, right)


def _initial(rngs: nnx.Rngs | None) -> dict[str, Any]:
    if rngs is None:
        return {"rngs": _Keyless(), "kernel_init": _unfilled, "bias_init": _unfilled}
    return {"rngs": rngs}


def _unfilled(key: None, shape: tuple[int, ...], dtype: Any, *_: Any) -> Any:
    """Return a placeholder without memory; JAX would compile a function for each shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)
