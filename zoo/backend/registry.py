"""The table of backends; each framework is imported when it is first asked for, never before.

A backend is a package with a :class:`~zoo.backend.description.Description` called ``DESCRIPTION``.
Another package can add one through an entry point of the group ``zoo.backends``, whose name is the
backend's and whose value is such a package.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from zoo.backend.base import Backend
from zoo.backend.description import Description
from zoo.errors import BackendError, UnknownNameError, suggestion

#: zoo's own backends, in the order in which they are listed.
PACKAGES = ("zoo.torch", "zoo.paddle", "zoo.keras", "zoo.flax")


@functools.cache
def table() -> dict[str, Description]:
    """Return every backend there is: zoo's own and those of other packages.

    Raises:
        BackendError: Another package's entry point leads to no description of a backend.
    """
    own = {known.name: known for known in map(_described, PACKAGES)}
    others = importlib.metadata.entry_points(group="zoo.backends")
    return {**{e.name: _described(e.value, e.name) for e in others}, **_registered, **own}


#: Backends that were registered by name, without an entry point.
_registered: dict[str, Description] = {}


def register(package: str) -> Description:
    """Add a backend that no entry point names, for this process.

    Args:
        package: A package with a ``DESCRIPTION``.

    Returns:
        The description.

    Raises:
        BackendError: The package cannot be imported, describes no backend, or takes the name of
            one of zoo's own.
    """
    description = _described(package)
    if description.name in {name.removeprefix("zoo.") for name in PACKAGES}:
        if package in PACKAGES:
            return description
        raise BackendError(f"the name {description.name!r} is that of a backend of zoo's")
    _registered[description.name] = description
    table.cache_clear()
    _loaded.cache_clear()
    return description


def resolve(name: str) -> Description:
    """Find a backend by its name or an alias.

    Raises:
        UnknownNameError: There is none of that name.

    Example:
        >>> resolve("pytorch").name, resolve("jax").name
        ('torch', 'flax')
    """
    wanted = str(name).lower()
    known = {alias: each for each in table().values() for alias in (each.name, *each.aliases)}
    if wanted not in known:
        hint = suggestion(wanted, known) or f" Known: {', '.join(table())}."
        raise UnknownNameError(f"Unknown backend {name!r:.60}.{hint}")
    return known[wanted]


def is_installed(description: Description) -> bool:
    """Tell whether a framework can be imported, without importing it."""
    return all(map(is_importable, (description.framework, *description.requires)))


def is_importable(module: str) -> bool:
    """Tell whether there is a module of that name, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def load(name: str) -> Backend:
    """Import a backend.

    Raises:
        UnknownNameError: There is none of that name.
        BackendError: Its framework is not installed, or ``tensorflow`` was asked for by name and
            Keras runs on another engine.
    """
    description = resolve(name)
    backend = _loaded(description.name)
    if str(name).lower() in ("tensorflow", "tf"):
        backend.require_engine("tensorflow")
    return backend


def of(model: object) -> Backend:
    """Return the backend that a model belongs to, by the classes it inherits from.

    Raises:
        BackendError: It is no model of a framework that zoo knows.
    """
    for cls in type(model).__mro__:  # nearest first: on PyTorch, a Keras model is a Module too
        for description in table().values():
            if description.owns(cls.__module__):
                return _loaded(description.name)
    raise BackendError(
        f"expected a model of {', '.join(each.title for each in table().values())}, "
        f"got {type(model).__name__}"
    )


def of_file(suffix: str) -> Backend | None:
    """Return the backend that reads its framework's own files of weights, if there is one.

    Args:
        suffix: What the file's name ends in, such as ``.pth``.

    Raises:
        BackendError: There is one, and its framework is not installed.
    """
    reader = next((each for each in table().values() if suffix in each.reads), None)
    return _loaded(reader.name) if reader else None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of packages, without importing them."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def _loaded(name: str) -> Backend:
    description = table()[name]
    if _is_shadowed(description):
        raise BackendError(
            f"'import {description.framework}' would find zoo's own folder of that name: zoo/ is "
            "the working directory, or on the path; start from another"
        )
    module, _, attribute = description.implementation.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except ImportError as error:
        # Keras imports its engine by itself, so the missing module may be another's.
        missing = error.name or description.framework
        install = f": python -m pip install '{description.install}'" if description.install else ""
        raise BackendError(
            f"zoo's {name} backend needs {description.title}{install} "
            f"(could not import {missing!r}: {error})"
        ) from error
    except TypeError as error:  # an abstract method is missing
        raise BackendError(f"the backend {name!r} is incomplete: {error}") from error
    if not isinstance(made, Backend):
        raise BackendError(
            f"the backend {name!r} is incomplete: {description.implementation} is no "
            "zoo.backend.base.Backend"
        )
    return made


def _described(package: str, name: str = "") -> Description:
    """Import a backend's package, which imports no framework, for its description."""
    try:
        description = getattr(importlib.import_module(package), "DESCRIPTION", None)
    except ImportError as error:
        raise BackendError(
            f"the backend {name or package!r} cannot be imported from {package!r}: {error}"
        ) from error
    if not isinstance(description, Description) or (name and description.name != name):
        raise BackendError(
            f"the package {package!r} is no backend called {name!r}: it needs a DESCRIPTION, a "
            "zoo.backend.description.Description of that name"
        )
    return description


def _is_shadowed(description: Description) -> bool:
    """Tell whether a folder of zoo's hides the framework, as from inside zoo/ it does."""
    if description.framework in sys.modules:
        return False
    try:
        spec = importlib.util.find_spec(description.framework)
    except (ImportError, ValueError):
        return False
    here = Path(__file__).resolve().parent.parent
    return spec is not None and bool(spec.origin) and Path(str(spec.origin)).parent.parent == here
