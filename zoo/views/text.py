"""Tables as plain text that fits a terminal. Nothing is truncated, however narrow it is."""

from __future__ import annotations

import shutil
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from zoo.views.printable import printable
from zoo.views.tables import Table

#: Characters in a line if there is no terminal.
DEFAULT_WIDTH = 110
_GAP = "  "  # between columns
_MARGIN = " "  # left of the table
_LEAST_WIDTH = 12


def terminal_width() -> int:
    """Return the width of the terminal, or :data:`DEFAULT_WIDTH` if there is none."""
    return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns


def render(tables: Sequence[Table], width: int) -> str:
    """Write the first table that fits the width.

    If none fits, each row of the first one is written as several lines.

    Args:
        tables: The same table in several forms, the widest first.
        width: Characters in a line.

    Example:
        >>> from zoo.views.tables import Column
        >>> table = Table("sizes", (Column("name"), Column("size", right=True)), (("conv1", "9"),))
        >>> print(render([table], 80))
        sizes
        <BLANKLINE>
         name   size
         ───────────
         conv1     9
    """
    width = max(width, _LEAST_WIDTH)
    for table in tables:
        if not table.columns:
            return "\n".join([*_wrapped(table.title, width), *_notes(table, width)])
        if widths := _widths(table, width):
            body = _aligned(table, widths)
            return "\n".join([*_wrapped(table.title, width), "", *body, *_notes(table, width)])
    table = tables[0]
    body = _stacked(table, width)
    return "\n".join([*_wrapped(table.title, width), "", *body, *_notes(table, width)])


def fitting(forms: Sequence[Sequence[Table]], width: int) -> int | None:
    """Return the position of the first form whose columns fit the width; None if none fits.

    Args:
        forms: The same tables in several forms. The tables of a form have the same columns.
        width: Characters in a line.
    """
    for position, tables in enumerate(forms):
        if _widths(_joined(tables), max(width, _LEAST_WIDTH)):
            return position
    return None


def sections(tables: Sequence[Table], width: int) -> str:
    """Write several tables below each other, with their columns aligned and the headings once.

    If they do not fit, each row is written as several lines. A word of a title that is longer than
    a line, such as a URL, is not broken.

    Args:
        tables: The tables, with the same columns.
        width: Characters in a line.

    Example:
        >>> from zoo.views.tables import Column
        >>> columns = (Column("name"), Column("size", right=True))
        >>> tables = [Table(name, columns, ((f"{name}1", "99"),)) for name in "ab"]
        >>> print(sections(tables, 80))
        a
         name  size
         ──────────
         a1      99
        <BLANKLINE>
        b
         b1      99
    """
    width = max(width, _LEAST_WIDTH)
    widths = _widths(_joined(tables), width)
    parts = []
    for number, table in enumerate(tables):
        body = _aligned(table, widths, headed=not number) if widths else _stacked(table, width)
        title = textwrap.wrap(
            printable(table.title), width, break_long_words=False, break_on_hyphens=False
        )
        parts.append("\n".join([*title, *body]))
    return "\n\n".join(parts)


def _joined(tables: Sequence[Table]) -> Table:
    rows = tuple(row for table in tables for row in table.rows)
    return Table("", tables[0].columns, rows)


def _widths(table: Table, width: int) -> list[int]:
    """Return the width of each column, or an empty list if the table does not fit."""
    natural, least = [], []
    for column, *cells in zip(table.columns, *_all_rows(table), strict=True):
        lines = [line for cell in (column.heading, *cells) for line in cell.split("\n")]
        needed = max(map(_cell_width, lines))
        if column.wraps:
            needed = min(needed, column.widest or needed)
            least.append(min(needed, column.narrowest))
        else:
            least.append(needed)
        natural.append(needed)
    spare = width - len(_MARGIN) - len(_GAP) * (len(natural) - 1) - sum(least)
    if spare < 0:
        return []
    widths = []
    for needed, minimum in zip(natural, least, strict=True):
        extra = min(needed - minimum, spare)
        widths.append(minimum + extra)
        spare -= extra
    return widths


def _aligned(table: Table, widths: Sequence[int], headed: bool = True) -> Iterator[str]:
    if headed:
        yield from _lines_of_row([column.heading for column in table.columns], table, widths)
        yield _MARGIN + "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    for row in table.rows:
        yield from _lines_of_row(row, table, widths)
    if table.total:
        yield ""
        yield from _lines_of_row(table.total, table, widths)


def _lines_of_row(cells: Sequence[str], table: Table, widths: Sequence[int]) -> Iterator[str]:
    wrapped = [
        [part for line in printable(cell).split("\n") for part in _wrapped(line, width)]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for parts in zip_longest(*wrapped, fillvalue=""):
        padded = (
            " " * (width - _cell_width(part)) + part
            if column.right
            else part + " " * (width - _cell_width(part))
            for part, column, width in zip(parts, table.columns, widths, strict=True)
        )
        yield (_MARGIN + _GAP.join(padded)).rstrip()


def _stacked(table: Table, width: int) -> Iterator[str]:
    """Write each row as its first cell, with the other cells and their headings below it."""
    columns = table.columns[1:]
    for row in _all_rows(table):
        name, *cells = row
        yield from _wrapped(name, width)
        indent = " " * (len(name) - len(name.lstrip()) + 4)
        for column, cell in zip(columns, cells, strict=True):
            if cell:
                text = f"{column.heading}: {' '.join(cell.split())}"
                yield from _wrapped(text, width, indent[: width // 2])


def _all_rows(table: Table) -> list[tuple[str, ...]]:
    return [*table.rows, *([table.total] if table.total else [])]


def _notes(table: Table, width: int) -> Iterator[str]:
    if table.notes:
        yield ""
    if table.notes_heading:
        yield from _wrapped(table.notes_heading, width)
    for note in table.notes:
        yield from _wrapped(note.text, width)
        if note.details:
            yield from _wrapped(note.details, width, indent="  ")


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Break a string into lines at spaces, or inside words that are longer than a line."""
    text = printable(text)
    if _cell_width(indent + text) <= width:
        return [indent + text]
    lead = text[: len(text) - len(text.lstrip())][: width // 2]
    return textwrap.wrap(
        text.lstrip(),
        width,
        initial_indent=indent + lead,
        subsequent_indent=indent + lead,
        break_on_hyphens=False,
    )


def _cell_width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
