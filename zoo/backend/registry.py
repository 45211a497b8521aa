"""The table of backends. A framework is imported only when its backend is first used.

A backend is a package with a :class:`~zoo.backend.description.Description` called ``DESCRIPTION``.
Another package can add one with an entry point in the group ``zoo.backends``: the name is that of
the backend, and the value is the package.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from zoo import arguments
from zoo.backend.base import Backend
from zoo.backend.description import Description
from zoo.errors import BackendError, UnknownNameError, ZooError, suggestion

#: zoo's own backends, in the order in which they are listed.
PACKAGES = ("zoo.torch", "zoo.paddle", "zoo.keras", "zoo.flax", "zoo.onnx")


@functools.cache
def table() -> dict[str, Description]:
    """Return zoo's own backends, then those of other packages, without those that are broken."""
    built_in = {entry.name: entry for entry in map(_description, PACKAGES)}
    points = importlib.metadata.entry_points(group="zoo.backends")
    plugins = {}
    for point in points:
        try:
            plugins[point.name] = _description(point.value, point.name)
        except BackendError as error:
            _broken[point.name] = str(error)
    others = {**plugins, **_registered}
    return built_in | {name: entry for name, entry in others.items() if name not in built_in}


#: Backends whose entry points do not lead to a description, and why.
_broken: dict[str, str] = {}

#: Backends registered at run time, without an entry point.
_registered: dict[str, Description] = {}

#: Backends whose frameworks have been imported, one object for each.
_loaded: dict[str, Backend] = {}


def register(package: str) -> Description:
    """Add a backend without an entry point, for this process.

    Args:
        package: A package with a ``DESCRIPTION``.

    Returns:
        The description.

    Raises:
        BackendError: The package cannot be imported, describes no backend, or uses the name of one
            of zoo's own.
    """
    description = _description(package)
    if description.name in {name.removeprefix("zoo.") for name in PACKAGES}:
        if package in PACKAGES:
            return description
        raise BackendError(f"the name {description.name!r} is taken by one of zoo's own backends")
    _registered[description.name] = description
    _loaded.pop(description.name, None)  # the others stay the objects that callers already hold
    table.cache_clear()
    return description


def resolve(name: str) -> Description:
    """Find a backend by its name or an alias.

    Raises:
        UnknownNameError: There is no backend of that name.
        BackendError: Its package cannot be imported, or describes no backend.

    Example:
        >>> resolve("pytorch").name, resolve("jax").name
        ('torch', 'flax')
    """
    key = name.lower() if isinstance(name, str) else None
    known = {alias: entry for entry in table().values() for alias in (entry.name, *entry.aliases)}
    if key in _broken and key not in known:
        raise BackendError(_broken[key])
    if key not in known:
        hint = suggestion(key, known) or f". Known: {', '.join(table())}."
        raise UnknownNameError(f"unknown backend {arguments.shown(name)}{hint}")
    return known[key]


def is_installed(description: Description) -> bool:
    """Tell whether a framework can be imported, without importing it."""
    return all(map(is_importable, (description.framework, *description.requires)))


def installed() -> list[Description]:
    """Return the backends whose frameworks are installed.

    Raises:
        BackendError: There is none.

    Example:
        >>> "torch" in [description.name for description in installed()]
        True
    """
    found = [description for description in table().values() if is_installed(description)]
    if not found:
        raise BackendError("no framework is installed: python -m pip install 'polyzoo[torch]'")
    return found


def is_importable(module: str) -> bool:
    """Tell whether a module exists, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def load(name: str) -> Backend:
    """Import a backend.

    Raises:
        UnknownNameError: There is no backend of that name.
        BackendError: Its framework is not installed; or ``tensorflow`` was requested by name, but
            Keras runs on another engine.
    """
    description = resolve(name)
    backend = _load(description.name)
    if name.lower() in ("tensorflow", "tf"):
        backend.require_engine("tensorflow")
    return backend


def of(model: object) -> Backend:
    """Return the backend that a model belongs to, by the classes it inherits from.

    Raises:
        BackendError: It is not a model of a framework that zoo knows.
    """
    for cls in type(model).__mro__:  # nearest first: on PyTorch, a Keras model is a Module too
        for description in table().values():
            if description.owns(cls.__module__):
                backend = _load(description.name)
                if isinstance(model, backend.MODEL):
                    return backend
    is_name = isinstance(model, str | os.PathLike)
    hint = "; zoo.build makes one from a name, and zoo.load from a file" * is_name
    raise BackendError(
        f"expected a model of {', '.join(entry.title for entry in table().values())}, "
        f"got {arguments.shown(model)}{hint}"
    )


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of packages, without importing them."""
    installed = {}
    for package in packages:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def _load(name: str) -> Backend:
    """Return the one object of a backend, imported when it is first used."""
    if name not in _loaded:
        _loaded[name] = _imported(table()[name])
    return _loaded[name]


def _imported(description: Description) -> Backend:
    name = description.name
    if _is_shadowed(description):
        raise BackendError(
            f"'import {description.framework}' would import zoo's own folder of that name, because "
            "zoo/ is the working directory or on the path; change to another directory"
        )
    module, _, attribute = description.implementation.partition(":")
    try:
        backend = getattr(importlib.import_module(module), attribute)()
    except ZooError:
        raise
    except ImportError as error:
        # The missing module may also be the engine that Keras imports.
        missing = error.name or description.framework
        install = f": python -m pip install '{description.install}'" if description.install else ""
        raise BackendError(
            f"zoo's {name} backend needs {description.title}{install} "
            f"(could not import {missing!r}: {error})"
        ) from error
    except TypeError as error:  # an abstract method is missing
        raise BackendError(f"the backend {name!r} is incomplete: {error}") from error
    except Exception as error:  # another package may raise anything
        raise BackendError(
            f"the backend {name!r} cannot be loaded from {description.implementation}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(backend, Backend):
        raise BackendError(
            f"the backend {name!r} is incomplete: {description.implementation} is not "
            "a zoo.backend.base.Backend"
        )
    return backend


def _description(package: str, name: str = "") -> Description:
    """Import a backend's package, but not its framework, and return its description."""
    try:
        description = getattr(importlib.import_module(package), "DESCRIPTION", None)
    except Exception as error:  # another package may raise anything
        raise BackendError(
            f"the backend {name or package!r} cannot be imported from {package!r}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(description, Description) or (name and description.name != name):
        raise BackendError(
            f"the package {package!r} is not a backend named {name!r}: it needs a DESCRIPTION, a "
            "zoo.backend.description.Description with that name"
        )
    return description


def _is_shadowed(description: Description) -> bool:
    """Tell whether a folder of zoo hides the framework, as it does inside of zoo/."""
    if description.framework in sys.modules:
        return False
    try:
        spec = importlib.util.find_spec(description.framework)
    except (ImportError, ValueError):
        return False
    if spec is None or not spec.origin:
        return False
    return Path(spec.origin).parent.parent == Path(__file__).resolve().parent.parent
