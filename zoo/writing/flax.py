"""Flax NNX's dialect."""

from __future__ import annotations

from typing import Any

from zoo.backend.calls import Call, call
from zoo.backend.padding import padding
from zoo.errors import BackendError
from zoo.graphs.nodes import Node
from zoo.ops import OPS
from zoo.writing.dialect import Dialect

_OWN = "zoo.flax.modules."

DEFAULTS: dict[str, dict[str, Any]] = {
    "flax.nnx.Conv": {
        "strides": 1,
        "padding": "SAME",
        "kernel_dilation": 1,
        "feature_group_count": 1,
        "use_bias": True,
    },
    "flax.nnx.Linear": {"use_bias": True},
    "flax.nnx.BatchNorm": {
        "momentum": 0.99,
        "epsilon": 1e-5,
        "use_scale": True,
        "use_bias": True,
    },
    "flax.nnx.LayerNorm": {"epsilon": 1e-6, "use_scale": True, "use_bias": True},
    "flax.nnx.max_pool": {"padding": 0},
    "flax.nnx.avg_pool": {"padding": 0, "count_include_pad": True},
}

CHAIN = '''\
class Sequential(nnx.Module):
    """Layers with names, one after the other."""

    def __init__(self, **layers):
        self.names = tuple(layers)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def __call__(self, x):
        for name in self.names:
            x = getattr(self, name)(x)
        return x'''

INSTEAD = '''
def lrn(x, size, alpha, beta, k):
    """Local response normalization across channels, alpha divided by the size."""
    squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (size // 2, size // 2)))
    total = sum(squares[..., i : i + x.shape[-1]] for i in range(size))
    return x / (k + alpha / size * total) ** beta


def adaptive_avg_pool(x, output_size):
    """The means of windows that cover the map."""
    for axis, count in zip((1, 2), output_size, strict=True):
        size = x.shape[axis]
        starts = [i * size // count for i in range(count)]
        ends = [-(-(i + 1) * size // count) for i in range(count)]
        windows = zip(starts, ends, strict=True)
        means = [lax.slice_in_dim(x, a, b, axis=axis).mean(axis) for a, b in windows]
        x = jnp.stack(means, axis)
    return x


def gelu(x):
    """GELU by the error function; that of JAX rounds differently far below 0."""
    return x * (1 + lax.erf(x / jnp.sqrt(2).astype(x.dtype))) / 2


class Affine(nnx.Module):
    """A weight and a bias for each channel."""

    def __init__(self, num_features, shift, scale_init):
        self.weight = nnx.Param(jnp.full(num_features, scale_init))
        self.bias = nnx.Param(jnp.zeros(num_features)) if shift else None

    def __call__(self, x):
        x = x * self.weight[...]
        return x if self.bias is None else x + self.bias[...]
'''

_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "silu", "softmax")
_PLAIN = {
    "global_avg_pool": "GlobalAvgPool",
    "scale": "Scale",
    "flatten": "Flatten",
    "concat": "Concat",
    "add": "Add",
    "multiply": "Multiply",
    "slice": "Slice",
    "select": "Select",
    "channel_shuffle": "ChannelShuffle",
    "pad": "Pad",
    "pad_channels": "PadChannels",
}


def describe(node: Node) -> Call:
    """Return the call that makes a layer, or the function that computes it with its settings."""
    attrs, op = node.attributes, node.op
    if op in _ACTIVATIONS:
        return Call(f"flax.nnx.{op}", {})
    if op == "gelu":
        return Call(f"{_OWN}gelu", {})
    if op in _PLAIN:
        names = OPS[op].own_fields()
        return Call(f"{_OWN}{_PLAIN[op]}", {name: attrs[name] for name in names})
    if op == "lrn":
        settings = {name: attrs[name] for name in ("size", "alpha", "beta", "k")}
        return Call(f"{_OWN}lrn", settings)
    if op == "adaptive_avg_pool":
        return call(f"{_OWN}adaptive_avg_pool", output_size=attrs["output_size"])
    if op not in _LAYERS:
        raise BackendError(f"{node.name}: the operation {op!r} cannot be written as Flax's source")
    return _LAYERS[op](node)


def _conv(node: Node) -> Call:
    attrs = node.attributes
    return call(
        "flax.nnx.Conv",
        in_features=attrs["in_channels"],
        out_features=attrs["out_channels"],
        kernel_size=attrs["kernel_size"],
        strides=_number(attrs["stride"]),
        padding=_pairs(attrs["padding"]),
        kernel_dilation=_number(attrs["dilation"]),
        feature_group_count=attrs["groups"],
        use_bias=attrs["bias"],
    )


def _linear(node: Node) -> Call:
    attrs = node.attributes
    return call(
        "flax.nnx.Linear",
        in_features=attrs["in_features"],
        out_features=attrs["out_features"],
        use_bias=attrs["bias"],
    )


def _batch_norm(node: Node) -> Call:
    attrs = node.attributes
    return call(
        "flax.nnx.BatchNorm",
        num_features=attrs["num_features"],
        momentum=1 - attrs["momentum"],
        epsilon=attrs["eps"],
        use_scale=attrs["scale"],
        use_bias=attrs["shift"],
        use_fast_variance=False,
    )


def _layer_norm(node: Node) -> Call:
    attrs = node.attributes
    return call(
        "flax.nnx.LayerNorm",
        num_features=attrs["num_features"],
        epsilon=attrs["eps"],
        use_scale=attrs["scale"],
        use_bias=attrs["shift"],
        use_fast_variance=False,
    )


def _affine(node: Node) -> Call:
    attrs = node.attributes
    return call(
        f"{_OWN}Affine",
        num_features=attrs["num_features"],
        shift=attrs["shift"],
        scale_init=attrs["scale_init"],
    )


def _dropout(node: Node) -> Call:
    return call("flax.nnx.Dropout", rate=node.attributes["rate"])


def _stochastic_depth(node: Node) -> Call:
    axes = tuple(range(1, len(node.shape) + 1))
    return call("flax.nnx.Dropout", rate=node.attributes["rate"], broadcast_dims=axes)


def _max_pool(node: Node) -> Call:
    attrs = node.attributes
    edges, mode = padding(node)
    return call(
        "flax.nnx.max_pool",
        window_shape=attrs["kernel_size"],
        strides=attrs["stride"],
        padding="SAME" if mode == "same" else _pairs(edges),
    )


def _avg_pool(node: Node) -> Call:
    attrs = node.attributes
    windows = {"window_shape": attrs["kernel_size"], "strides": attrs["stride"]}
    edges, counted = attrs["padding"], attrs["counted"]
    if counted is None or counted == (0, 0, 0, 0):
        counts, pairs = counted is None or not any(edges), _pairs(edges)
        return call("flax.nnx.avg_pool", **windows, padding=pairs, count_include_pad=counts)
    return call(
        f"{_OWN}AvgPool",
        kernel_size=attrs["kernel_size"],
        stride=attrs["stride"],
        padding=((edges[0], edges[1]), (edges[2], edges[3])),
        counted=((counted[0], counted[1]), (counted[2], counted[3])),
    )


_LAYERS = {
    "conv": _conv,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "affine": _affine,
    "dropout": _dropout,
    "stochastic_depth": _stochastic_depth,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
}


def _number(pair: tuple[int, int]) -> int | tuple[int, int]:
    return pair[0] if pair[0] == pair[1] else pair


def _pairs(edges: tuple[int, ...]) -> Any:
    """Return padding as one number, if it is the same on all sides, or as a pair for each axis."""
    top, bottom, left, right = edges
    return top if top == bottom == left == right else ((top, bottom), (left, right))


def main(network: str) -> list[str]:
    """Return the lines of ``main``."""
    return [
        f"model = {network}(rngs=nnx.Rngs(0))",
        "count = sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param)))",
        'print(f"{count:,} parameters")',
    ]


DIALECT = Dialect(
    backend="flax",
    imports={
        "dataclass": "from dataclasses import dataclass",
        "partial": "from functools import partial",
        "jax": "import jax",
        "jnp": "import jax.numpy as jnp",
        "np": "import numpy as np",
        "nnx": "from flax import nnx",
        "lax": "from jax import lax",
        "identity": "from jax.nn import identity",
    },
    prefixes={"flax.nnx": "nnx."},
    base="nnx.Module",
    method="__call__",
    describe=describe,
    fields={
        "in_features": "in_channels",
        "out_features": "out_channels",
        "strides": "stride",
        "feature_group_count": "groups",
        "window_shape": "kernel_size",
        "num_features": "",
    },
    positional={"flax.nnx.Conv": 3, "flax.nnx.Linear": 2},
    defaults=DEFAULTS,
    native=lambda made: made,
    chain=CHAIN,
    identity="identity",
    main=main,
    pairs=True,
    instead=INSTEAD,
    images=lambda shape: f"[N, {shape[1]}, {shape[2]}, {shape[0]}]",
)
