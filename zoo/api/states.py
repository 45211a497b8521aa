"""Reads a framework's own state of a model, such as a ``state_dict()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.api.checkpoints import own_table
from zoo.backend import registry
from zoo.graphs.graph import Graph
from zoo.weights import framework_source, identification
from zoo.weights.checkpoint import Stored
from zoo.weights.slots import canonical

_MAX_DEPTH = 32  # dicts in dicts
#: What frameworks raise for a value that is not a tensor.
_NO_TENSOR = (AttributeError, TypeError, ValueError, RuntimeError)


def in_canonical_form(weights: Mapping[Any, Any], network: Graph) -> Mapping[Any, Any]:
    """Convert a framework's state of a model of a network to canonical arrays.

    Args:
        weights: Name -> tensor or array; or dicts of them in dicts, as Flax has them. Arrays of
            NumPy are a framework's if their names are that framework's and not zoo's.
        network: The network.

    Returns:
        Canonical name -> array; ``weights`` itself unless its tensors are those of one framework,
        under the names that this framework has for the network.
    """
    flat = dict(_flat(weights))
    owners = {_owner(value) for value in flat.values()}
    name = owners.pop() if len(owners) == 1 else None
    known = {parameter.name for parameter in network.parameters}
    if name is not None:
        possible = [registry.table()[name]]
    elif known <= flat.keys() or not all(isinstance(each, np.ndarray) for each in flat.values()):
        return weights
    else:
        possible = list(registry.table().values())
    for owner in possible:
        if not owner.formats:
            continue
        table = framework_source.of_network(own_table(owner), network)
        to_numpy = registry.load(owner.name).to_numpy if name is not None else np.asarray
        try:
            stored = {name: _stored(value, to_numpy) for name, value in flat.items()}
        except _NO_TENSOR:
            continue
        for view in identification.views(stored):
            if identification.has_names_of(table, network, view.arrays):
                arrays, _ = canonical(table, network, view.arrays)
                return {name: array.read() for name, array in arrays.items()}
    return weights


def _flat(weights: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Any:
    for name, value in weights.items():
        if isinstance(value, Mapping) and value.keys() == {"value"}:  # a variable in Flax's state
            value = value["value"]
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value


def _owner(value: Any) -> str | None:
    """Return the framework that a tensor belongs to."""
    packages = {cls.__module__.partition(".")[0] for cls in type(value).__mro__}
    return next(
        (
            name
            for name, entry in registry.table().items()
            if packages & {entry.framework, *entry.requires}
        ),
        None,
    )


def _stored(tensor: Any, to_numpy: Any) -> Stored:
    array = np.asarray(to_numpy(tensor))
    return Stored(array.shape, array.dtype.name, lambda: array)
