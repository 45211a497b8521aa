"""Where Flax's layers keep their parameters.

Kernels have the outputs last, and Flax computes in HWC, so a linear layer that reads a
flattened map has its inputs in HWC order.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from flax import nnx

from zoo.backend.parameters import Array, Slot, Tensor, slot
from zoo.errors import BackendError
from zoo.graphs.graph import Graph

#: operation -> canonical name -> Flax's own name and axes
PARAMETERS: dict[str, dict[str, Slot]] = {
    "conv": {"weight": Slot("kernel", "HWIO")},
    "linear": {"weight": Slot("kernel", "IO")},
    "layer_norm": {"weight": Slot("scale")},
    "batch_norm": {
        "weight": Slot("scale"),
        "running_mean": Slot("mean"),
        "running_var": Slot("var"),
    },
}


def tensors(model: nnx.Module) -> dict[str, Tensor]:
    """Return every parameter and running statistic by its canonical name, in the graph's order.

    Raises:
        BackendError: The model does not know its graph, so that layouts cannot be told.
    """
    graph = getattr(model, "zoo_graph", None)
    if not isinstance(graph, Graph):
        raise BackendError(
            f"this {type(model).__name__} does not know its graph, which says in what order its "
            "weights are held: it was not built by zoo"
        )
    found = {}
    for node in graph.nodes:
        for parameter in node.parameters:
            local = parameter.name.removeprefix(f"{node.name}.")
            where = slot(PARAMETERS, node.op, local)
            variable = getattr(find(model, node.name), where.name)
            layout = node.attributes.get("layout") if local == "weight" else None
            found[parameter.name] = Tensor(variable, tuple(variable.shape), where.axes, layout)
    return found


def to_numpy(variable: nnx.Variable[Any]) -> Array:
    """Return a Variable's value."""
    return np.asarray(variable[...])


def assign(variable: nnx.Variable[Any], array: Array) -> None:
    """Copy an array in; the Variable keeps its dtype and device."""
    old = variable[...]
    sharding = old.sharding if old.committed else None
    variable.set_value(jax.device_put(array.astype(old.dtype), sharding))


def find(model: nnx.Module, path: str) -> Any:
    """Return the layer or block of a path name."""
    return functools.reduce(getattr, path.split("."), model)
