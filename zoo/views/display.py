"""Display of results that are tables: printed, in a REPL, with rich, and in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zoo.views import html, tables, text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text


class ShownAsTable(ABC):
    """A base for results that are shown as a table."""

    @abstractmethod
    def tables(self) -> Sequence[tables.Table]:
        """Return the table in several forms, the widest first."""

    def to_markdown(self) -> str:
        """Return the table in GitHub's Markdown."""
        return tables.to_markdown(self.tables()[0])

    def to_html(self) -> str:
        """Return the table as a self-contained HTML fragment."""
        return html.render(self.tables()[0])

    def __str__(self) -> str:
        return text.render(self.tables(), text.terminal_width())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        rendered = Text(text.render(self.tables(), options.max_width), no_wrap=True)
        rendered.highlight_regex(rf"\S+ {tables.DISAGREES}|^{tables.DISAGREES}", "red")
        yield rendered
