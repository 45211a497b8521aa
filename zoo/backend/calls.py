"""Descriptions of layers: what is called in a framework, and with which arguments.

A builder makes the layer that a description states. The writer of source code prints it, without
importing the framework.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """The call of a class or function.

    Attributes:
        target: Where it is, as ``package.module.name``.
        arguments: Its arguments by name, in its own order: plain data, or other calls.

    Example:
        >>> call("fractions.Fraction", numerator=1, denominator=2).made()
        Fraction(1, 2)
    """

    target: str
    arguments: dict[str, Any]

    def made(self, **context: Any) -> Any:
        """Make the call.

        Args:
            context: Arguments that do not belong to the description, such as a dtype; they replace
                those of the same name.
        """
        own = {n: v.made() if isinstance(v, Call) else v for n, v in self.arguments.items()}
        return located(self.target)(**{**own, **context})

    def made_with(self, settings: Mapping[str, Any], **context: Any) -> Any:
        """Make the call, also with those of the settings that it takes and does not state itself.

        Args:
            settings: Arguments that some calls take.
            context: As for :meth:`made`: arguments that this call gets anyway.
        """
        taken = _parameters(self.target) - set(self.arguments)
        return self.made(
            **{name: value for name, value in settings.items() if name in taken}, **context
        )


def call(target: str, **arguments: Any) -> Call:
    """Describe a call; see :class:`Call`."""
    return Call(target, arguments)


@functools.cache
def located(target: str) -> Any:
    """Import what a description names."""
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


@functools.cache
def _parameters(target: str) -> set[str]:
    """Return the names of what a class or function takes."""
    called = located(target)
    # Not of the class itself, whose metaclass may take anything. mypy refuses `called.__init__`.
    made = getattr(called, "__init__") if isinstance(called, type) else called  # noqa: B009
    return set(inspect.signature(made).parameters)
