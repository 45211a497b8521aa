"""Flax NNX's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.backend.calls import Call, call
from zoo.backend.padding import padding
from zoo.flax.operations import OPERATIONS
from zoo.graphs.nodes import Node
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


class Affine(nnx.Module):
    """A weight and a bias for each channel."""

    def __init__(self, num_features, shift, scale_init):
        self.weight = nnx.Param(jnp.full(num_features, scale_init))
        self.bias = nnx.Param(jnp.zeros(num_features)) if shift else None

    def __call__(self, x):
        x = x * self.weight[...]
        return x if self.bias is None else x + self.bias[...]
'''

#: Of zoo's own layers, the function that computes the same.
_FUNCTIONS = {
    "LRN": f"{_OWN}lrn",
    "AdaptiveAvgPool": f"{_OWN}adaptive_avg_pool",
    "batch_norm": "flax.nnx.BatchNorm",
}


def describe(node: Node) -> Call:
    """Return the call that makes a layer, or the function that computes it with its settings."""
    found = OPERATIONS.describe(node)
    name, arguments = found.target.removeprefix(_OWN), found.arguments
    if name == "Activation":
        function = arguments["name"]
        return call(f"{_OWN}gelu" if function == "gelu" else f"flax.nnx.{function}")
    if name == "flax.nnx.Conv":
        short = {n: _number(arguments[n]) for n in ("strides", "padding", "kernel_dilation")}
        return Call(name, {**arguments, **short})
    if name == "MaxPool":
        return _pool("max_pool", arguments, **_same(node))
    if name == "AvgPool" and arguments["counted"] in (None, ((0, 0), (0, 0))):
        counts = arguments["counted"] is None or not any(node.attributes["padding"])
        return _pool("avg_pool", arguments, count_include_pad=counts)
    return Call(_FUNCTIONS.get(name, found.target), arguments)


def _pool(function: str, arguments: Mapping[str, Any], **settings: Any) -> Call:
    """Return the call of one of Flax's functions for pools."""
    windows = {"window_shape": arguments["kernel_size"], "strides": arguments["stride"]}
    edges = _number(arguments["padding"])
    return Call(f"flax.nnx.{function}", {**windows, "padding": edges, **settings})


def _same(node: Node) -> dict[str, str]:
    return {"padding": "SAME"} if padding(node)[1] == "same" else {}


def _number(value: Any) -> Any:
    """Return one number for a pair of equal ones, and for a pair of such pairs."""
    flat = {number for part in value for number in (part if isinstance(part, tuple) else (part,))}
    return flat.pop() if len(flat) == 1 else value


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
