"""Commands whose modules are imported only when they are invoked.

The program's help and the completion of command names need only the name and one sentence of each
command. Importing all commands would make them several times slower.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import click


class LazyCommand(click.Command):
    """A command of which only the name and one sentence are known until it is invoked.

    Args:
        name: The name of the command.
        target: The location of the command, as ``module:attribute``.
        sentence: The first sentence of its help.
    """

    def __init__(self, name: str, target: str, sentence: str) -> None:
        super().__init__(name, help=sentence, short_help=sentence)
        self.target = target

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Import the command, and parse the arguments with it."""
        return self.loaded.make_context(*args, **kwargs)

    @functools.cached_property
    def loaded(self) -> click.Command:
        """The imported command."""
        module, _, attribute = self.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command
