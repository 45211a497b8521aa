"""The table of a backend's operations: how each node becomes the framework's own layer."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from zoo.errors import BackendError
from zoo.ops import OPS

Make = Callable[..., Any]


class Operations(dict[str, Make]):
    """Operation -> function of a node and whatever else the backend hands to it.

    Most layers are made of what the operation's own fields state, in their order, and of nothing
    else: for these the layer is named when the table is made. For the others the backend registers
    a function of the operation's name. An operation of another package brings its own function:
    see ``implementations`` of :class:`zoo.ops.base.Op`.

    Args:
        backend: The backend's name.
        title: The framework's name, for messages.
        layers: Operation -> its layer, a class or a function that returns one.

    Example:
        >>> operations = Operations("mine", "My framework", scale=lambda factor: f"x {factor}")
        >>> @operations.register
        ... def conv(node):
        ...     return "a convolution"
        >>> sorted(operations)
        ['conv', 'scale']
    """

    def __init__(self, backend: str, title: str, **layers: Callable[..., Any]) -> None:
        super().__init__({op: of_fields(op, layer) for op, layer in layers.items()})
        self.backend, self.title = backend, title

    def register(self, function: Make) -> Make:
        """Register a function under its own name, and return it."""
        self[function.__name__] = function
        return function

    def __contains__(self, op: object) -> bool:
        return super().__contains__(op) or self.backend in _implementations(op)

    def __missing__(self, op: str) -> Make:
        known = _implementations(op)
        if self.backend not in known:
            raise BackendError(
                f"zoo's {self.backend} backend has no operation {op!r}: use another backend, or "
                f"register a function for it that makes a layer of {self.title}"
            )
        module, _, function = known[self.backend].partition(":")
        self[op] = getattr(importlib.import_module(module), function)
        return self[op]


def _implementations(op: Any) -> Mapping[str, str]:
    return OPS[op].implementations if op in OPS else {}


def of_fields(op: str, layer: Callable[..., Any]) -> Make:
    """Return a function that makes a layer of what an operation's own fields state, in order.

    Args:
        op: The operation.
        layer: The layer's class, or a function that returns one.
    """
    names = tuple(OPS[op].own_fields())

    def make(node: Any, *context: Any) -> Any:
        return layer(*(node.attributes[name] for name in names))

    return make
