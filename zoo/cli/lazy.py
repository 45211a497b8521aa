"""Commands whose modules are imported when they are invoked, not before.

The help of the program and the completion of a command's name need no more than the name and one
sentence. Importing every command for them would cost several times what they do.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

#: Help is plain text: drawing it with rich would double what ``zoo --help`` costs.
SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class LazyCommand(TyperCommand):
    """A command known by its name and one sentence until it is invoked.

    Args:
        name: What the user types.
        target: Where its function is, as ``module:function``.
        help: One sentence: the first of the function's docstring.
    """

    def __init__(self, name: str, target: str, help: str) -> None:
        super().__init__(name, help=help, rich_markup_mode=None)
        self.target = target

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse arguments as the command itself does, which is imported here."""
        return self._command.make_context(*args, **kwargs)

    @functools.cached_property
    def _command(self) -> Any:
        module, _, function = self.target.partition(":")
        app = typer.Typer(add_completion=False, **SETTINGS)
        app.command(self.name)(getattr(importlib.import_module(module), function))
        return get_command(app)
