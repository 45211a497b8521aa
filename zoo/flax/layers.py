"""One function an operation: a node as a Flax layer.

With ``rngs`` its parameters are drawn by Flax's own initialisers. Without, they are to be filled:
then nothing is drawn or compiled, and dropout is to be given its stream. What holds neither weights
nor random numbers is a plain function with settings: Flax walks every module at every nnx.jit call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from flax import nnx

from zoo.flax import modules
from zoo.graphs.nodes import Node

Layer = Callable[..., Any]


def conv(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    at = node.attributes
    return nnx.Conv(
        at["in_channels"],
        at["out_channels"],
        at["kernel_size"],  # a tuple: one number would be a one-dimensional convolution
        at["stride"],
        padding=_pairs(at["padding"]),
        kernel_dilation=at["dilation"],
        feature_group_count=at["groups"],
        use_bias=at["bias"],
        dtype=dtype,
        param_dtype=dtype,
        **_initial(rngs),
    )


def linear(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    at = node.attributes
    return nnx.Linear(
        at["in_features"],
        at["out_features"],
        use_bias=at["bias"],
        dtype=dtype,
        param_dtype=dtype,
        **_initial(rngs),
    )


def batch_norm(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    if rngs is None:  # shapes only: Flax would compile something for each width
        layer: nnx.BatchNorm = nnx.eval_shape(lambda: _batch_norm(node, dtype, Keyless()))
        return layer
    return _batch_norm(node, dtype, rngs)


def _batch_norm(node: Node, dtype: Any, rngs: Any) -> nnx.BatchNorm:
    at = node.attributes
    layer = (nnx.BatchNorm if dtype.itemsize >= 4 else modules.HalfBatchNorm)(
        at["num_features"],
        momentum=1 - at["momentum"],  # in Flax the weight of the old value
        epsilon=at["eps"],
        use_scale=at["scale"],
        use_bias=at["shift"],
        use_fast_variance=False,  # E[x^2] - E[x]^2 cancels
        dtype=dtype,
        param_dtype=dtype,
        rngs=rngs,
    )
    # Flax makes the statistics float32 whatever param_dtype says.
    layer.mean.set_value(layer.mean[...].astype(dtype))
    layer.var.set_value(layer.var[...].astype(dtype))
    return layer


def layer_norm(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    at = node.attributes
    make = partial(
        nnx.LayerNorm,
        at["num_features"],
        epsilon=at["eps"],
        use_scale=at["scale"],
        use_bias=at["shift"],
        use_fast_variance=False,  # E[x^2] - E[x]^2 cancels
        dtype=dtype,
        param_dtype=dtype,
    )
    if rngs is None:  # shapes only: Flax would compile something for each width
        layer: nnx.LayerNorm = nnx.eval_shape(lambda: make(rngs=Keyless()))
        return layer
    return make(rngs=rngs)


def affine(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    at = node.attributes
    return modules.Affine(at["num_features"], at["shift"], at["scale_init"], dtype)


def lrn(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    at = node.attributes
    return modules.LRN(at["size"], at["alpha"], at["beta"], at["k"])


def relu(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(nnx.relu)


def relu6(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(nnx.relu6)


def sigmoid(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(nnx.sigmoid)


def tanh(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(nnx.tanh)


def hard_sigmoid(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(nnx.hard_sigmoid)


def hard_swish(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(nnx.hard_swish)


def silu(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(nnx.silu)


def gelu(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Activation(modules.gelu)


def dropout(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    return nnx.Dropout(node.attributes["rate"], rngs=rngs)


def stochastic_depth(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    axes = tuple(range(1, len(node.shape) + 1))
    return nnx.Dropout(node.attributes["rate"], broadcast_dims=axes, rngs=rngs)


def max_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    at = node.attributes
    return modules.MaxPool(at["kernel_size"], at["stride"], _pairs(at["padding"]))


def avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    at = node.attributes
    return modules.AvgPool(at["kernel_size"], at["stride"], _pairs(at["padding"]), at["counts"])


def global_avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.GlobalAvgPool()


def adaptive_avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.AdaptiveAvgPool(node.attributes["windows"])


def scale(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Scale(node.attributes["factor"])


def flatten(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Flatten()


def concat(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Concat()


def add(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Add()


def multiply(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Multiply()


def slice(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Slice(node.attributes["start"], node.attributes["stop"])


def select(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.Select(node.attributes["channels"])


def channel_shuffle(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.ChannelShuffle(node.attributes["groups"])


def pad_channels(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return modules.PadChannels(node.attributes["padding"])


#: op name -> function
LAYERS: dict[str, Callable[[Node, Any, nnx.Rngs | None], Layer]] = {
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


class Keyless:
    """Stands for ``nnx.Rngs`` where no initialiser uses its key."""

    def params(self) -> None:
        return None


def _pairs(padding: tuple[int, int, int, int]) -> modules.Pairs:
    top, bottom, left, right = padding
    return (top, bottom), (left, right)


def _initial(rngs: nnx.Rngs | None) -> dict[str, Any]:
    if rngs is None:
        return {"rngs": Keyless(), "kernel_init": _unfilled, "bias_init": _unfilled}
    return {"rngs": rngs}


def _unfilled(key: None, shape: tuple[int, ...], dtype: Any, *_: Any) -> Any:
    """Stand for values to come: JAX would compile something for each shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)
