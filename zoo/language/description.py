"""What a spec says about a network besides its layers."""

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
    """Return how the paper initializes parameters, if the spec states it."""
    stated = spec.initializers
    if stated is None:
        return {}
    return {"weight": stated.weight.to_dict(), "bias": {"constant": stated.bias}}


def is_as_published(spec: Spec, chosen: Mapping[str, Any]) -> bool:
    """Tell whether the options are those of the spec, so that the paper's figures apply."""
    defaults = spec.options.to_dict()
    defaults["input_size"] = options.size(defaults["input_size"])
    return all(chosen[key] == value for key, value in defaults.items())


def class_names(spec: Spec, chosen: Mapping[str, Any], scope: Scope) -> tuple[str, ...]:
    """Return the class names; empty if the caller chose another number of classes.

    Raises:
        SpecError: The number of class names is not the spec's num_classes.
    """
    names = classes.names(spec.classes)
    if names and len(names) != spec.options.num_classes:
        scope.fail(
            f"{len(names)} class names, but num_classes is {spec.options.num_classes}: name that "
            "many classes, or write 'classes: ~' for none"
        )
    return names if len(names) == chosen["num_classes"] else ()
