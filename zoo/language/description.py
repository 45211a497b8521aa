"""What a spec says of a network besides its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.data import classes
from zoo.language import options
from zoo.language.schema import Spec
from zoo.language.scope import Scope


def about(spec: Spec) -> dict[str, Any]:
    """Return the family, the title and the paper."""
    paper = spec.paper.to_dict(exclude_none=True) if spec.paper else {}
    return {"family": spec.name, "title": spec.title, "about": spec.about, "paper": paper}


def initializers(spec: Spec) -> dict[str, dict[str, Any]]:
    """Return how the paper fills parameters, where the spec states it."""
    stated = spec.initializers
    if stated is None:
        return {}
    return {"weight": stated.weight.to_dict(), "bias": {"constant": stated.bias}}


def is_as_published(spec: Spec, chosen: Mapping[str, Any]) -> bool:
    """Tell whether the options are the spec's own, so that the paper's figures apply."""
    own = spec.options.to_dict()
    own["input_size"] = options.size(own["input_size"])
    return all(chosen[key] == value for key, value in own.items())


def class_names(spec: Spec, chosen: Mapping[str, Any], scope: Scope) -> tuple[str, ...]:
    """Return what the outputs stand for; nothing if the caller wants another number of them.

    Raises:
        SpecError: The spec names another number of classes than it has.
    """
    names = classes.names(spec.classes)
    if names and len(names) != spec.options.num_classes:
        count = f"num_classes is {spec.options.num_classes}"
        scope.fail(f"there are {len(names)} names of classes, and {count}")
    return names if len(names) == chosen["num_classes"] else ()
