"""The table of a backend's operations: functions of a node that describe or build its layer."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from zoo.backend.calls import Call
from zoo.errors import BackendError
from zoo.graphs.nodes import Node
from zoo.ops import OPS

Builder = Callable[..., Any]


class Operations(dict[str, Builder]):
    """Operation -> function of a node and of further arguments that the backend chooses.

    Most layers take the operation's own fields as their only arguments, in order; these are listed
    when the table is created. For the others, the backend registers a function that is named after
    the operation. An operation of another package comes with its own function: see
    ``implementations`` of :class:`zoo.ops.base.Op`.

    A function may return a :class:`zoo.backend.calls.Call` instead of a layer, so that the layer
    can also be written as source code. Where a place is listed instead of a class, a call of it is
    returned, whose arguments have the names of the fields.

    Args:
        backend: The backend's name.
        title: The framework's name, for messages.
        layers: Operation -> its layer's class, a function that returns the layer, or the place of
            either, as ``package.module.name``.

    Example:
        >>> operations = Operations("mine", "My framework", scale=lambda factor: f"x {factor}")
        >>> @operations.register
        ... def conv(node):
        ...     return "a convolution"
        >>> sorted(operations)
        ['conv', 'scale']
    """

    def __init__(self, backend: str, title: str, **layers: Callable[..., Any] | str) -> None:
        super().__init__({op: of_fields(op, layer) for op, layer in layers.items()})
        self.backend, self.title = backend, title

    def register(self, function: Builder) -> Builder:
        """Register a function under its own name, and return it."""
        self[function.__name__] = function
        return function

    def describe(self, node: Node) -> Call:
        """Return the call that makes the layer of a node, for source code.

        Raises:
            BackendError: The function of the operation makes the layer itself.
        """
        found = None if _implementations(node.op) else self[node.op](node)
        if not isinstance(found, Call):
            raise BackendError(
                f"{node.name}: the operation {node.op!r} cannot be written as source code of "
                f"{self.title}; zoo builds it only"
            )
        return found

    def __contains__(self, op: object) -> bool:
        return super().__contains__(op) or self.backend in _implementations(op)

    def __missing__(self, op: str) -> Builder:
        implementations = _implementations(op)
        if self.backend not in implementations:
            raise BackendError(
                f"zoo's {self.backend} backend has no operation {op!r}: use another backend, or "
                f"register a function that builds a layer of {self.title} for it"
            )
        self[op] = _imported(op, implementations[self.backend])
        return self[op]


def _imported(op: str, place: str) -> Builder:
    """Import the function of an operation of another package."""
    try:
        module, function = place.split(":")
        builder: Builder = getattr(importlib.import_module(module), function)
    except Exception as error:  # another package may raise anything
        raise BackendError(
            f"the operation {op!r} cannot be loaded from {place!r}, which must be "
            f"'module:function': {type(error).__name__}: {error}"
        ) from error
    return builder


def _implementations(op: Any) -> Mapping[str, str]:
    return OPS[op].implementations if op in OPS else {}


def of_fields(op: str, layer: Callable[..., Any] | str) -> Builder:
    """Return a function that builds a layer from an operation's own fields, in order.

    Args:
        op: The operation.
        layer: The layer's class, a function that returns the layer, or the place of either.
    """
    names = tuple(OPS[op].own_fields())
    if isinstance(layer, str):
        place = layer
        return lambda node, *context: Call(place, {name: node.attributes[name] for name in names})

    def build(node: Any, *context: Any) -> Any:
        return layer(*(node.attributes[name] for name in names))

    return build
