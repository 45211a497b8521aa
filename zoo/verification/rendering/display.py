"""Display of results that rich renders: printed, in a REPL and in a notebook."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import ClassVar

from rich.console import Console, Group

_NOTEBOOK = '<pre style="overflow-x: auto; white-space: pre">{code}</pre>'


class ShownByRich(ABC):
    """A base for results that are shown as rich renders them.

    Attributes:
        columns: The width of the text, in characters.
    """

    columns: ClassVar[int]

    @abstractmethod
    def __rich__(self) -> Group: ...

    def __str__(self) -> str:
        console = Console(width=self.columns, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        console = Console(width=self.columns, record=True, file=io.StringIO(), highlight=False)
        console.print(self)
        return console.export_html(inline_styles=True, code_format=_NOTEBOOK)
