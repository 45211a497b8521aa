"""The settings of a study as plain data, whatever holds them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from zoo.comparing.results import Trained
from zoo.errors import InputError
from zoo.training.recipe import Recipe

#: Fields of the recipe that a paper states in any case; others only where they are not the default.
STATED = ("optimizer", "lr", "epochs", "batch_size")
#: Fields that a study has in its own form.
_NOT_RECIPE = ("format", "model", "data", "seed")


def plain(study: Any) -> dict[str, Any]:
    """Return the settings of a study as data that JSON can hold.

    Args:
        study: A mapping, a dataclass, a record with fields, or an object with attributes.

    Raises:
        InputError: It is something else, or holds what JSON cannot.

    Example:
        >>> plain({"models": ("lenet5",), "backends": ["torch", "keras"]})
        {'models': ['lenet5'], 'backends': ['torch', 'keras']}
    """
    if isinstance(study, Mapping):
        found = dict(study)
    elif is_dataclass(study) and not isinstance(study, type):
        found = asdict(study)
    elif isinstance(fields := getattr(study, "fields", None), Mapping):
        found = {name: getattr(study, name) for name in fields}
    else:
        found = {k: v for k, v in getattr(study, "__dict__", {}).items() if not k.startswith("_")}
    if not all(isinstance(name, str) for name in found):
        raise InputError("the settings of a study must have names")
    try:
        read: dict[str, Any] = json.loads(json.dumps(found, default=_listed))
    except (TypeError, ValueError) as error:
        raise InputError(f"the settings of a study must be plain data: {error}") from None
    return read


def recipe(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the recipe that all runs share, without what has its default.

    Example:
        >>> recipe({"models": ["lenet5"], "epochs": 2, "lr": 0.1, "nesterov": False, "ema": 0.9})
        {'lr': 0.1, 'epochs': 2, 'ema': 0.9}
    """
    given = {**settings, **(settings.get("recipe") or {})}
    found = {}
    for name in (*STATED, *(name for name in Recipe.fields if name not in STATED)):
        value = given.get(name)
        if name in _NOT_RECIPE or value is None:
            continue
        if name in STATED or value != Recipe.fields[name].default:
            found[name] = value
    return found


def names(settings: Mapping[str, Any], field: str) -> list[str]:
    """Return a field that is one name or several; empty if there is none, or it is ``all``."""
    value = settings.get(field)
    if isinstance(value, Mapping):
        return [str(name) for name in value]
    listed = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [str(each) for each in listed if each not in (None, "all")]


def margins(settings: Mapping[str, Any]) -> dict[str, float]:
    """Return the margins of equivalence; a number alone is that of top-1.

    Example:
        >>> margins({"margin": 0.01}), margins({"margin": {"top1": 0.01, "loss": 0.1}})
        ({'top1': 0.01}, {'top1': 0.01, 'loss': 0.1})
    """
    margin = settings.get("margin")
    if isinstance(margin, Mapping):
        return {str(name): float(value) for name, value in margin.items() if value is not None}
    return {} if margin is None else {"top1": float(margin)}


def versions(settings: Mapping[str, Any], runs: Iterable[Trained]) -> dict[str, str]:
    """Return package -> version; several versions are joined, since all have been used."""
    found: dict[str, dict[str, None]] = {}
    for given in (settings.get("versions") or {}, *(run.versions for run in runs)):
        for package, version in given.items():
            found.setdefault(package, {})[str(version)] = None
    return {package: ", ".join(each) for package, each in sorted(found.items())}


def _listed(value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not plain data")
