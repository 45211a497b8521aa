"""Reads a framework's own state of a model, such as a ``state_dict()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.api.checkpoints import own_table
from zoo.backend import registry
from zoo.backend.description import Description
from zoo.graphs.graph import Graph
from zoo.weights import framework_source, identification
from zoo.weights.checkpoint import Array, Stored
from zoo.weights.reading import state_dicts
from zoo.weights.slots import canonical

_MAX_DEPTH = 32  # dicts in dicts
#: The parts of what Keras' ``get_state_tree()`` returns that have weights.
_OF_KERAS = ("trainable_variables", "non_trainable_variables")
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
    known = {parameter.name for parameter in network.parameters}
    inner, _, _ = state_dicts.located(weights, lambda value: getattr(value, "shape", None))
    under_keys = [] if inner[0] is weights else [inner]
    if of_keras := [weights[key] for key in _OF_KERAS if isinstance(weights.get(key), Mapping)]:
        under_keys.append(of_keras)
    closest = None
    for trees in [[weights], *under_keys]:
        flat = {name: value for tree in trees for name, value in _flat(tree)}
        owners = {_owner(value) for value in flat.values()}
        name = owners.pop() if len(owners) == 1 else None
        if trees is of_keras:  # of what Keras runs on, or of NumPy
            name, possible = None, [registry.table()["keras"]]
        elif name is not None:
            possible = [registry.table()[name]]
        elif known <= flat.keys() or not all(isinstance(v, np.ndarray) for v in flat.values()):
            continue
        else:
            possible = list(registry.table().values())
        for owner in possible:
            if found := _canonical(flat, owner, network, exact=True, own=name is not None):
                return found
        if (name is not None or trees is of_keras) and not known <= flat.keys():
            own = name is not None
            closest = _canonical(flat, possible[0], network, exact=False, own=own)
    return closest or weights  # what does not fit is reported under its canonical name


def _canonical(
    flat: Mapping[str, Any], owner: Description, network: Graph, *, exact: bool, own: bool
) -> dict[str, Array] | None:
    """Convert a state with the names of one framework; None if it has others.

    Args:
        flat: Name -> tensor or array.
        owner: The framework's backend.
        network: The network.
        exact: Whether the names must be exactly those of the network.
        own: Whether the values are tensors of the framework, not arrays of NumPy.
    """
    if not owner.formats:
        return None
    table = framework_source.of_network(own_table(owner), network)
    to_numpy = registry.load(owner.name).to_numpy if own else np.asarray
    try:
        stored = {name: _stored(flat[name], to_numpy) for name in table.kept(flat)}
    except _NO_TENSOR:
        return None
    if exact:
        seen = identification.views(stored)
        fits = (v for v in seen if identification.has_names_of(table, network, v.arrays))
        view = next(fits, None)
    else:
        closest = identification.closest(
            [(table, network)], list(identification.views_of_most(stored))
        )
        view = closest and closest[1]
    if view is None:
        return None
    arrays, rest = canonical(table, network, view.arrays)
    arrays.update({name: view.arrays[name] for name in rest})
    return {name: array.read() for name, array in arrays.items()}


def _flat(weights: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Any:
    for name, value in weights.items():
        if isinstance(name, str):
            name = name.replace("/", ".")  # as Flax's flatten_dict(state, sep="/") joins names
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
