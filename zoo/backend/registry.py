"""The table of backends; each framework is imported when it is first asked for, never before.

A backend is a package with the functions of :class:`Backend`. Another package can add one through
an entry point of the group ``zoo.backends`` whose name is the backend's and whose value is such a
package.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo.errors import BackendError, UnknownNameError, suggestion
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Shape

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Backend(Protocol):
    """What ``zoo.torch``, ``zoo.paddle``, ``zoo.keras`` and ``zoo.flax`` each provide."""

    #: how the framework's own layers hold what they have, in the words of a source of weights
    CONVENTION: Mapping[str, Any]

    def build(
        self, graph: Graph, draw: Callable[[Parameter], Array] | None, dtype: str, seed: int
    ) -> Any:
        """Make the framework's own model of a graph."""

    def shapes(self, model: Any) -> dict[str, Shape]:
        """Canonical name -> canonical shape of every parameter and running statistic."""

    def count_parameters(self, model: Any) -> int:
        """Trainable values, counted in the framework's own way."""

    def get_weights(self, model: Any) -> dict[str, Array]:
        """Copies of every parameter and running statistic, in the canonical layout."""

    def set_weights(self, model: Any, weights: Mapping[str, Array]) -> None:
        """Fill the model from canonical arrays whose names and shapes have been checked."""

    def cross_entropy(self, logits: Any, labels: Any, weight: float = 1.0) -> Any:
        """The mean cross-entropy of logits [N, classes] and class numbers [N], weighted."""

    def gradients(
        self, model: Any, x: Array, labels: Array
    ) -> tuple[float, dict[str, Array], Array]:
        """The training loss of x, NCHW; its gradients by canonical name; and the input's."""

    def export(self, model: Any, path: str) -> None:
        """Save the model's weights as the framework itself does."""

    def predict(self, model: Any, x: Array) -> Array | dict[str, Array]:
        """Run in evaluation mode on NCHW; leave the model as it was."""

    def forms(self, model: Any) -> dict[str, Callable[[Array], Array | dict[str, Array]]]:
        """The ways to run a model, eager and compiled, each like ``predict`` of x."""

    def optimizing(
        self, model: Any, rule: str, settings: dict[str, float]
    ) -> Callable[[Array, Array], None]:
        """A step of the framework's own optimizer, a function of x, NCHW, and labels."""

    def own_weights(self, model: Any) -> dict[str, Array]:
        """Copies of every parameter and statistic of any model, by its own names, as they lie."""

    def named_modules(self, model: Any) -> dict[str, Any]:
        """Path -> module, of every one within any model."""

    def observe(
        self, model: Any, x: Array, names: Iterable[str]
    ) -> tuple[Any, dict[str, list[Array]]]:
        """What any model returns of x, NCHW, and what its modules of these names give, by calls."""

    def differentiate(
        self, model: Any, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
    ) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
        """A loss in training mode; its gradients by own names, the input's, and weights after."""

    def features(self, model: Any, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
        """Values of nodes, in evaluation mode, NCHW or [N, features]."""


@dataclass(frozen=True)
class Entry:
    """A row of the table."""

    name: str
    module: str  # the backend's own package
    framework: str  # the module to import
    title: str
    packages: tuple[str, ...]  # distributions whose versions are reported, the main one first
    extra: str = ""  # what to install zoo with
    owners: tuple[str, ...] = ()  # top-level modules that the classes of its models come from
    suffix: str = ""  # of the files that the framework itself saves weights in
    #: another engine that it runs on -> the environment that chooses it
    engines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


TABLE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("torch", "zoo.torch", "torch", "PyTorch", ("torch",), "torch", ("torch",), ".pth"),
        Entry(
            "paddle",
            "zoo.paddle",
            "paddle",
            "PaddlePaddle",
            ("paddlepaddle",),
            "paddle",
            ("paddle",),
            ".pdparams",
        ),
        Entry(
            "keras",
            "zoo.keras",
            "keras",
            "Keras 3",
            ("keras", "tensorflow"),
            "keras",
            ("keras",),
            ".keras",
            {name: {"KERAS_BACKEND": name} for name in ("jax", "torch")},
        ),
        Entry(
            "flax",
            "zoo.flax",
            "flax",
            "Flax NNX",
            ("flax", "jax"),
            "flax",
            ("flax",),
            ".msgpack",
        ),
    )
}

ALIASES = {
    "pytorch": "torch",
    "paddlepaddle": "paddle",
    "tensorflow": "keras",
    "tf": "keras",
    "jax": "flax",
    "nnx": "flax",
}


#: (backend, operation) -> what that framework cannot do exactly and is refused by name
LIMITS = {
    ("keras", "conv"): "exact, but for stride and dilation both above 1 with no common divisor",
}

#: (backend, rule) -> why the framework's own optimizer is another function than the written rule
OPTIMIZERS: dict[tuple[str, str], str] = {
    ("paddle", "SGD"): "holds momentum and weight decay in float32",
    ("keras", "SGD"): (
        "decouples weight decay, which does not go through the momentum; and holds the learning "
        "rate in float32"
    ),
    ("keras", "Adam"): (
        "adds epsilon before the bias correction (the paper's epsilon-hat), not after, so that it "
        "weighs about thirty times as much in the first step; and holds the learning rate in "
        "float32"
    ),
}


@functools.cache
def table() -> dict[str, Entry]:
    """Return every backend there is: zoo's own and those of other packages."""
    others = importlib.metadata.entry_points(group="zoo.backends")
    found = {e.name: Entry(e.name, e.value, e.value, e.name, ()) for e in others}
    return {**found, **TABLE}


def resolve(name: str) -> Entry:
    """Find a backend by its name or an alias.

    Raises:
        UnknownNameError: There is none of that name.

    Example:
        >>> resolve("pytorch").name, resolve("jax").name
        ('torch', 'flax')
    """
    known = str(name).lower()
    entry = table().get(ALIASES.get(known, known))
    if entry is None:
        hint = suggestion(known, [*table(), *ALIASES]) or f" Known: {', '.join(table())}."
        raise UnknownNameError(f"Unknown backend {name!r}.{hint}")
    return entry


def is_installed(entry: Entry) -> bool:
    """Tell whether a framework can be imported, without importing it."""
    return all(is_importable(module) for module in {entry.framework, *_engine(entry)})


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
    entry = resolve(name)
    if _shadowed(entry):
        raise BackendError(
            f"'import {entry.framework}' would find zoo's own folder of that name: zoo/ is the "
            "working directory, or on the path; start from another"
        )
    try:
        backend: Any = importlib.import_module(entry.module)
    except ImportError as error:
        # keras imports its engine by itself, so the missing module may be another's.
        missing = error.name or entry.framework
        raise BackendError(
            f"zoo's {entry.name} backend needs {entry.title}: python -m pip install "
            f"'polyzoo[{entry.extra}]' (could not import {missing!r}: {error})"
        ) from error
    if str(name).lower() in ("tensorflow", "tf"):
        backend.require_engine("tensorflow")
    loaded: Backend = backend
    return loaded


def of(model: object) -> Backend:
    """Return the backend that a model belongs to, by the classes it inherits from.

    Raises:
        BackendError: It is no model of a framework zoo knows.
    """
    known = {owner: e.name for e in table().values() for owner in e.owners or (e.framework,)}
    for cls in type(model).__mro__:  # nearest first: on PyTorch, a Keras model is a Module too
        owner = cls.__module__.partition(".")[0]
        if owner in known:
            return load(known[owner])
    raise BackendError(
        f"expected a model of {', '.join(e.title for e in table().values())}, "
        f"got {type(model).__name__}"
    )


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of packages, without importing them."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _shadowed(entry: Entry) -> bool:
    """Whether a folder of zoo's hides the framework, as from inside zoo/ it does."""
    if entry.framework in sys.modules:
        return False
    try:
        found = importlib.util.find_spec(entry.framework)
    except (ImportError, ValueError):
        return False
    here = Path(__file__).parent.parent
    return (
        found is not None and bool(found.origin) and Path(str(found.origin)).parent.parent == here
    )


def _engine(entry: Entry) -> tuple[str, ...]:
    """What else must be there: Flax is on JAX; Keras' engine is the user's choice."""
    return ("jax",) if entry.name == "flax" else ()
