"""Reads a framework's own state of a model, such as a ``state_dict()``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoo.api.checkpoints import own_table
from zoo.backend import registry
from zoo.backend.description import Description
from zoo.errors import WeightsError, listed, quoted
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
        weights: Name -> tensor or array; or dicts of them in dicts, as Flax has them. A name may be
            a tuple of the keys of such dicts. Arrays of NumPy are a framework's if their names are
            that framework's and not zoo's.
        network: The network.

    Returns:
        Canonical name -> array. If the names are not those of any framework for the network, those
        of the framework with the most of them; ``weights`` itself if zoo's own are as many.

    Raises:
        WeightsError: There are several such states in it.
    """
    known = {parameter.name for parameter in network.parameters}
    found = _converted(weights, network, known)
    if not known <= found.keys():
        _refuse_sets(weights, network, known)
    return found


def _converted(weights: Mapping[Any, Any], network: Graph, known: set[str]) -> Mapping[Any, Any]:
    weights = _nested(weights)
    inner, _, _ = state_dicts.located(weights, lambda value: getattr(value, "shape", None))
    under_keys = [] if inner[0] is weights else [inner]
    if of_keras := [weights[key] for key in _OF_KERAS if isinstance(weights.get(key), Mapping)]:
        under_keys.append(of_keras)
    best, most = weights, (sum(name in known for name in weights), False)
    for trees in [[weights], *under_keys]:
        flat = {name: value for tree in trees for name, value in _flat(tree)}
        owners = {_owner(value) for value in flat.values()} - {None}
        name = owners.pop() if len(owners) == 1 else None
        if trees is of_keras:  # of what Keras runs on, or of NumPy
            name, possible = None, [registry.table()["keras"]]
        elif name is not None:
            possible = [registry.table()[name]]
        elif owners or known <= flat.keys():
            continue
        else:
            possible = list(registry.table().values())
        for exact in (True, False):
            for owner in possible:
                found = _canonical(flat, owner, network, exact=exact) or {}
                if exact and found:
                    return found
                # Tensors of a framework are converted even where their names are zoo's.
                if (fit := (sum(name in known for name in found), name is not None)) > most:
                    best, most = found, fit
    return best  # what does not fit is reported under its canonical name


def _refuse_sets(weights: Mapping[Any, Any], network: Graph, known: set[str]) -> None:
    """Reject a dict of several states of a network, or of one beside others."""
    sets = list(_sets(weights, network, known))
    if len(sets) > 1:
        raise WeightsError(
            f"expected one set of weights for the model, got {len(sets)}: {listed(sets)}; pass one "
            "of them"
        )
    if sets:
        raise WeightsError(f"the weights of the model are {sets[0]}, beside others; pass that")


def _sets(
    weights: Mapping[Any, Any], network: Graph, known: set[str], place: str = "weights"
) -> Iterator[str]:
    """Yield where in a dict the states of a network are."""
    for key, value in weights.items():
        # Small dicts are the layers of one.
        if isinstance(value, Mapping) and len(dict(_flat(value))) >= len(known):
            inner = f"{place}[{quoted(key, most=40)}]"
            if known <= _converted(value, network, known).keys():
                yield inner
            elif place.count("[") < _MAX_DEPTH:
                yield from _sets(value, network, known, inner)


def _canonical(
    flat: Mapping[str, Any], owner: Description, network: Graph, *, exact: bool
) -> dict[str, Array] | None:
    """Convert a state with the names of one framework; None if it has others.

    Args:
        flat: Name -> tensor of the framework, array of NumPy, or anything else.
        owner: The framework's backend.
        network: The network.
        exact: Whether the names must be exactly those of the network.
    """
    if not owner.formats:
        return None
    table = framework_source.of_network(own_table(owner), network)
    try:
        stored = {name: _stored(flat[name], owner) for name in table.kept(flat)}
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


def _nested(weights: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return dicts in dicts in the place of names that are tuples, as Flax's flat states have."""
    if not any(isinstance(name, tuple) for name in weights):
        return weights
    nested: dict[Any, Any] = {}
    for name, value in weights.items():
        *path, last = name if isinstance(name, tuple) and name else (name,)
        inner = nested
        for key in path:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                return weights
        inner[last] = value
    return nested


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


def _stored(value: Any, owner: Description) -> Stored:
    own = _owner(value) == owner.name
    array = np.asarray(registry.load(owner.name).to_numpy(value) if own else value)
    return Stored(array.shape, array.dtype.name, lambda: array)
