"""The registry of operations. Each is registered once, where it is defined.

zoo's own operations are the modules of this package. Another package adds its own through an entry
point of the group ``zoo.operations``, whose value is a module that registers them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TypeVar

from zoo.errors import ZooWarning, printable
from zoo.ops import operation_hints
from zoo.ops.base import Op

GROUP = "zoo.operations"

#: Families of operations, in the order of the documentation. Each has a color in drawings.
FAMILIES = (
    *("convolution", "dense", "normalization", "activation", "regularization"),
    *("pooling", "arranging", "joining"),
)

Class = TypeVar("Class", bound=type[Op])


class Registry(Mapping[str, type[Op]]):
    """Operations by name, family by family.

    Entry points are loaded only when a name is unknown or all names are requested, since that takes
    longer than making a graph.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._classes: dict[str, type[Op]] = {}
        self._complete = False

    def add(self, operation: type[Op]) -> None:
        """Add an operation.

        Raises:
            ValueError: The name is taken, or the family is unknown.
        """
        name = operation.op
        if name in self._classes:
            raise ValueError(f"operation {name!r} is already registered: {self._classes[name]}")
        if operation.family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise ValueError(f"{name}: unknown family {operation.family!r}. Known: {known}.")
        self._classes[name] = operation

    def loaded(self) -> Mapping[str, type[Op]]:
        """Return the operations that are known without loading entry points."""
        return MappingProxyType(self._classes)

    def _load_entry_points(self) -> None:
        if not self._complete:
            self._complete = True
            import importlib.metadata  # takes a tenth of the time that NumPy takes

            for entry in importlib.metadata.entry_points(group=GROUP):
                try:
                    entry.load()
                except Exception as error:  # another package may raise anything
                    problem = printable(f"{type(error).__name__}: {error}")
                    message = f"the operation {entry.name!r} cannot be loaded: {problem}"
                    warnings.warn(message, ZooWarning, stacklevel=2)

    def __getitem__(self, name: str) -> type[Op]:
        if name not in self._classes:
            self._load_entry_points()
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        self._load_entry_points()
        return iter(sorted(self._classes, key=lambda n: FAMILIES.index(self._classes[n].family)))

    def __len__(self) -> int:
        self._load_entry_points()
        return len(self._classes)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Reload entry points, and restore the registry afterwards; for tests."""
        before = self._classes, self._complete
        self._classes, self._complete = dict(self._classes), False
        try:
            yield
        finally:
            self._classes, self._complete = before


#: Name -> class of every operation.
OPS = Registry()


def operation(name: str, *, family: str, words: tuple[str, ...] = ()) -> Callable[[Class], Class]:
    """Register an operation under its name.

    Args:
        name: Its name in specs: ``batch_norm``.
        family: One of ``FAMILIES``.
        words: What frameworks call it; an error for such a word suggests the name. Case, ``_`` and
            a final ``2d`` are ignored.

    Raises:
        ValueError: The name is taken, or the family is unknown.
    """

    def register(cls: Class) -> Class:
        cls.op, cls.family, cls.words = name, family, words
        OPS.add(cls)
        return cls

    return register


def meant(word: str) -> str | None:
    """Return zoo's name for the operation that frameworks call ``word``; None if it has none.

    Example:
        >>> meant("swish"), meant("Conv2D"), meant("relu"), meant("Dropout2d")
        ('silu', 'conv', 'relu', None)
    """
    whole, plain = word.lower(), operation_hints.normalized(word)
    for name, cls in OPS.items():
        synonyms = {synonym.lower() for synonym in (name, *cls.words)}
        similar = plain in map(operation_hints.normalized, synonyms)
        # Dropout2d is not dropout
        if whole in synonyms or (similar and whole not in operation_hints.ABSENT):
            return name
    return None


def hint(word: str) -> str | None:
    """Return zoo's name for a framework's operation, or that zoo has none; None if unknown.

    Example:
        >>> hint("swish"), hint("Conv2D")
        ("Use 'silu'.", "Use 'conv'.")
    """
    plain = operation_hints.normalized(word)
    if name := meant(word):
        caveat = operation_hints.CAVEATS.get(plain)
        return f"Use {name!r}." + (f" {caveat}" if caveat else "")
    return operation_hints.ABSENT.get(word.lower()) or operation_hints.ABSENT.get(plain)
