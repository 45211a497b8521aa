"""The table of a backend's operations: how each node becomes the framework's own layer."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from zoo.errors import BackendError
from zoo.ops import OPS

Make = Callable[..., Any]


class Operations(dict[str, Make]):
    """Operation -> function of a node and whatever else the backend hands to it.

    A backend fills it with functions of the operations' names, or with :func:`attributes` where a
    layer is made of a node's attributes alone. An operation of another package brings its own
    function: see ``implementations`` of :class:`zoo.ops.base.Op`.

    Args:
        backend: The backend's name.
        title: The framework's name, for messages.

    Example:
        >>> operations = Operations("mine", "My framework")
        >>> operations["scale"] = attributes(lambda factor: f"times {factor}", "factor")
        >>> @operations.register
        ... def relu(node):
        ...     return "max(x, 0)"
        >>> sorted(operations)
        ['relu', 'scale']
    """

    def __init__(self, backend: str, title: str, **known: Make) -> None:
        super().__init__(known)
        self.backend, self.title = backend, title

    def register(self, function: Make) -> Make:
        """Register a function under its own name, and return it."""
        self[function.__name__] = function
        return function

    def __missing__(self, op: str) -> Make:
        known = getattr(OPS.get(op), "implementations", {})
        if self.backend not in known:
            raise BackendError(
                f"zoo's {self.backend} backend has no operation {op!r}: use another backend, or "
                f"register a function for it that makes a layer of {self.title}"
            )
        module, _, function = known[self.backend].partition(":")
        self[op] = getattr(importlib.import_module(module), function)
        return self[op]


def attributes(layer: Callable[..., Any], *names: str) -> Make:
    """Return a function that makes a layer of some of a node's attributes, in this order.

    Args:
        layer: The layer's class, or a function that returns one.
        names: Attributes of the node.
    """

    def make(node: Any, *context: Any) -> Any:
        return layer(*(node.attributes[name] for name in names))

    return make
