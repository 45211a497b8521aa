"""Moves weights between a Flax module and canonical NumPy arrays.

Flax holds a convolution's kernel as HWIO and a linear layer's as [in, out], and computes in HWC,
so a linear layer that reads a flattened map has its inputs in HWC order.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from zoo.errors import BackendError
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import outputs_first, outputs_last
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Shape

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: canonical local name -> Flax's, where they differ
NAMES = {
    "conv": {"weight": "kernel"},
    "linear": {"weight": "kernel"},
    "batch_norm": {"weight": "scale", "running_mean": "mean", "running_var": "var"},
    "layer_norm": {"weight": "scale"},
}


def shapes(model: nnx.Module) -> dict[str, tuple[int, ...]]:
    """Return canonical name -> shape of every parameter and running statistic."""
    # A kernel is [..., in, out]; the features of a vector stay where they are.
    return {
        parameter.name: (*variable.shape[:-3:-1], *variable.shape[:-2])
        for parameter, _, variable in variables(model)
    }


def count_parameters(model: nnx.Module) -> int:
    """Count the trainable values as Flax does."""
    return sum(value.size for value in jax.tree.leaves(nnx.state(model, nnx.Param)))


def get_weights(model: nnx.Module) -> dict[str, Array]:
    """Copy every parameter and running statistic to NumPy."""
    return {p.name: canonical(node, variable[...]) for p, node, variable in variables(model)}


def set_weights(model: nnx.Module, weights: Mapping[str, Array]) -> None:
    """Copy canonical arrays in; names and shapes are checked before. Keeps device and dtype."""
    for parameter, node, variable in variables(model):
        old = variable[...]
        array = native(node, weights[parameter.name].astype(old.dtype))
        variable.set_value(jax.device_put(array, old.sharding if old.committed else None))


def variables(model: nnx.Module) -> Iterator[tuple[Parameter, Node, nnx.Variable[Any]]]:
    """Find every parameter and running statistic, in the graph's order."""
    graph = getattr(model, "zoo_graph", None)
    if not isinstance(graph, Graph):
        raise BackendError(
            f"this {type(model).__name__} does not know its graph, which says in what order its "
            "weights are held: it was not built by zoo"
        )
    for node in graph.nodes:
        for parameter in node.parameters:
            local = parameter.name.removeprefix(f"{node.name}.")
            own = NAMES.get(node.op, {}).get(local, local)
            yield parameter, node, getattr(find(model, node.name), own)


def find(model: nnx.Module, path: str) -> Any:
    """Return the layer or block of a path name."""
    return functools.reduce(getattr, path.split("."), model)


def native(node: Node, array: Array) -> Array:
    """Lay a canonical array out as Flax holds it, in memory of its own."""
    return array.copy() if array.ndim == 1 else outputs_last(array, _layout(node))


def canonical(node: Node, value: jax.Array) -> Array:
    """Undo :func:`native`, in memory of its own."""
    array = np.asarray(value)
    return array.copy() if array.ndim == 1 else outputs_first(array, _layout(node))


def _layout(node: Node) -> Shape | None:
    """(C, H, W) of what a linear layer reads, if that is a flattened map."""
    return node.attributes.get("layout")
