"""Finds a model inside what frameworks put around it to compile, parallelize, average or train it.

Each backend's description names its framework's wrappers. A model of the user's own that has one
of zoo's models as a part is not a wrapper, since it may compute something else.
"""

from __future__ import annotations

from typing import Any

from zoo.backend import registry
from zoo.backend.base import Backend
from zoo.errors import BackendError, with_article
from zoo.graphs.graph import Graph

MAX_WRAPPERS = 32


def find(model: Any) -> tuple[Backend, Any]:
    """Return the model inside any number of wrappers, and its backend.

    Args:
        model: A model of any backend, or what a framework made of one.

    Raises:
        BackendError: It is not a model of a framework that zoo knows, or in a form in which its
            layers cannot be read.
    """
    for _ in range(MAX_WRAPPERS):
        inner = _inner(model)
        if inner is None:
            return registry.of(model), model
        model = inner
    raise BackendError(f"more than {MAX_WRAPPERS} wrappers around a model")


def find_built(model: Any) -> tuple[Backend, Any, Graph]:
    """Return a model that zoo built, which may be inside wrappers, with its backend and graph.

    Raises:
        BackendError: As for :func:`find`; or zoo did not build the model.
    """
    backend, model = find(model)
    graph = backend.graph_of(model)
    if graph is None:
        _refuse_part(backend, model)
        raise backend.unknown(model)
    return backend, model, graph


def find_whole(model: Any) -> tuple[Backend, Any]:
    """Return a model, which may be inside wrappers, as :func:`find` does.

    Raises:
        BackendError: As for :func:`find`; or a model that zoo built is only a part of this one, so
            that names and layouts of its weights would not be those of zoo.
    """
    backend, model = find(model)
    if backend.graph_of(model) is None:
        _refuse_part(backend, model)
    return backend, model


def _refuse_part(backend: Backend, model: Any) -> None:
    for path, part in backend.named_modules(model).items():
        if part is not model and backend.graph_of(part) is not None:
            raise BackendError(
                f"this {type(model).__name__} has a model that zoo built as its part {path!r}; "
                "pass that part"
            )


def _inner(model: Any) -> Any | None:
    """Return what a wrapper holds; None if the model is no wrapper."""
    if "__wrapped__" in getattr(model, "__dict__", {}):  # by functools.wraps, as JAX's transforms
        return model.__wrapped__
    classes, entries = type(model).__mro__, registry.table().values()
    for cls in classes:
        name = f"{cls.__module__}.{cls.__qualname__}"
        for entry in entries:
            if name in entry.opaque:
                raise BackendError(
                    f"zoo cannot read {with_article(cls.__name__)}: {entry.opaque[name]}"
                )
            if name in entry.wrappers:
                return getattr(model, entry.wrappers[name])
    # Only now: what a framework calls its own may be of a class that it derived from a wrapper.
    owners = (entry for cls in classes for entry in entries if entry.owns(cls.__module__))
    owner = next(owners, None)
    if owner is None:
        return None
    backend = registry.load(owner.name)
    if not backend.computes(model):
        raise BackendError(
            f"zoo cannot read {with_article(type(model).__name__)}: it has no "
            f"{backend.COMPUTES or '__call__'}; pass the model that is in it, or one of them"
        )
    return backend.held(model)
