"""Where Flax's layers keep their parameters.

Kernels have the outputs last. Flax computes in HWC, so a linear layer that reads a flattened map
has its inputs in that order.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from zoo.backend.parameters import Array, Tensor
from zoo.errors import BackendError, with_article
from zoo.flax import PARAMETERS, _private
from zoo.graphs.graph import Graph, own_graph
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape, text_of
from zoo.ops import OPS

#: Where a Variable is: names of attributes, and numbers of elements of lists.
Path = tuple[str | int, ...]


def tensors(model: nnx.Module) -> dict[str, Tensor]:
    """Return every parameter and running statistic by its canonical name, in the graph's order.

    Raises:
        BackendError: The model does not know its graph, which is needed to determine layouts; or a
            layer was replaced with one that has other parameters, or added.
    """
    graph = own_graph(model)
    if graph is None:
        raise BackendError(
            f"this {type(model).__name__} does not know its graph, which determines the layout of "
            "its weights: it was not built by zoo"
        )
    by_name, own = {}, set()
    stacked: set[Shape] = set()  # the axes that kernels have before their own
    for node in graph.nodes:
        layer = find(model, node.name) if node.parameters else None
        names = [p.name.removeprefix(f"{node.name}.") for p in node.parameters]
        variables = {name: PARAMETERS.slot(node.op, name) for name in names}
        if node.parameters and _names(layer) != {location.name for location in variables.values()}:
            raise _unfit(graph, node, layer)
        for parameter, local in zip(node.parameters, names, strict=True):
            location = variables[local]
            variable = getattr(layer, location.name)
            layout = node.attributes.get("layout") if local == "weight" else None
            if location.axes != "C":
                stacked.add(variable.shape[: max(len(variable.shape) - len(location.axes), 0)])
            by_name[parameter.name] = Tensor(variable, tuple(variable.shape), location.axes, layout)
            own.add(f"{node.name}.{location.name}")
    if others := sorted(_names(model) - own):
        raise BackendError(f"this {graph.name} has parameters that zoo did not build: {others[0]}")
    if len(stacked) == 1 and (sizes := stacked.pop()):
        first = ", ".join("0" for _ in sizes)
        raise BackendError(
            f"this {graph.name} is {text_of(sizes)} models in one, as nnx.vmap makes them: its "
            "arrays have an axis for them before their own; pass one of them: "
            f"jax.tree.map(lambda a: a[{first}], model)"
        )
    return by_name


def paths(model: nnx.Module, tensors: Mapping[str, Tensor]) -> dict[str, Path]:
    """Return where every parameter and running statistic is in a model, by canonical name.

    Args:
        model: The model.
        tensors: Its parameters and running statistics.
    """
    places = {id(node): path for path, node in nnx.iter_graph(model)}
    return {name: places[id(tensor.handle)] for name, tensor in tensors.items()}


def at(model: nnx.Module, path: Path) -> Any:
    """Return what is at a path in a model."""
    return functools.reduce(
        lambda part, key: part[key] if isinstance(key, int) else getattr(part, key), path, model
    )


def _unfit(graph: Graph, node: Node, layer: Any) -> BackendError:
    """Return the error of a layer without the parameters of its node."""
    if layer is None:
        return BackendError(f"this {graph.name} has no layer {node.name!r}")
    for parameter in node.parameters if OPS[node.op].implementations else ():
        if PARAMETERS.slot(node.op, parameter.name).name not in _names(layer):
            return PARAMETERS.missing(node, parameter.name, layer)
    return BackendError(
        f"the layer {node.name!r} is {with_article(type(layer).__name__)} with other parameters "
        "than the layer that zoo built; put one like that in its place: with an adapter or a norm "
        "merged into the kernel, or with a bias of zeros. zoo.reset_head(model, 0) removes a "
        "classifier, and a spec of your own can describe any other layer"
    )


def has_value(variable: nnx.Variable[Any]) -> bool:
    """Tell whether a Variable has a value, not only a shape, which has not been donated.

    Raises:
        BackendError: Its value is not known yet, because a function is being traced.
    """
    value = _private.raw(variable)
    if isinstance(value, jax.core.Tracer):
        raise BackendError(
            "in a function that JAX traces, as for nnx.jit, the weights of a model have no values "
            "yet; call this outside of nnx.jit"
        )
    return not isinstance(value, jax.ShapeDtypeStruct) and not (
        isinstance(value, jax.Array) and value.is_deleted()
    )


def _names(layer: Any) -> set[str]:
    """Return the names of a layer's parameters and statistics, also of those in other layers."""
    if not isinstance(layer, nnx.Module):
        return set()
    state = nnx.state(layer, (nnx.Param, nnx.BatchStat))
    return {".".join(map(str, path)) for path, _ in nnx.to_flat_state(state)}


def to_numpy(variable: nnx.Variable[Any]) -> Array:
    """Return a Variable's value."""
    return np.asarray(variable[...])


def assign(variable: nnx.Variable[Any], array: Array) -> None:
    """Copy an array into a Variable, which keeps its dtype and device."""
    old = variable[...]
    sharding = old.sharding if getattr(old, "committed", False) else None  # it may be of NumPy
    variable.set_value(jax.device_put(array.astype(old.dtype), sharding))


def dtype_of(model: nnx.Module, default: Any = None) -> Any:
    """Return the dtype of a model's first parameter, in which its input is given.

    Args:
        model: Any model.
        default: The dtype for a model without parameters.

    Raises:
        BackendError: JAX would silently compute in another precision.
    """
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    dtypes = [leaf.dtype for leaf in leaves if hasattr(leaf, "dtype")]
    require_precision(dtypes)
    return dtypes[0] if dtypes else default


def require_precision(dtypes: Iterable[Any]) -> None:
    """Check that JAX has these dtypes.

    Raises:
        BackendError: It would silently compute in another precision.
    """
    for kind in set(dtypes):
        if jax.dtypes.canonicalize_dtype(kind) != kind:
            raise BackendError(
                f"JAX would silently compute in float32: {kind} requires its x64 flag; "
                'call jax.config.update("jax_enable_x64", True) first, or set JAX_ENABLE_X64=1'
            )


def find(model: nnx.Module, path: str) -> Any:
    """Return the layer or block with a path name; None if there is none."""
    return functools.reduce(lambda part, name: getattr(part, name, None), path.split("."), model)
