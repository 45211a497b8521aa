"""Commands whose modules are imported when they are invoked, not before.

The help of the program and the completion of a command's name need no more than the name and one
sentence. Importing every command for them would cost several times what they do.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import click


class LazyCommand(click.Command):
    """A command known by its name and one sentence until it is invoked.

    Args:
        name: What the user types.
        target: Where the command is, as ``module:attribute``.
        sentence: The first sentence of its help.
    """

    def __init__(self, name: str, target: str, sentence: str) -> None:
        super().__init__(name, help=sentence, short_help=sentence)
        self.target = target

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments with the command itself, which is imported here."""
        return self.loaded.make_context(*args, **kwargs)

    @functools.cached_property
    def loaded(self) -> click.Command:
        """The command itself."""
        module, _, attribute = self.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command
