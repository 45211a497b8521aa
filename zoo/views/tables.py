"""Tables as data, and as text for other programs: Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zoo.views.printable import printable

#: Marks a figure that contradicts the computed one; renderings highlight it.
DISAGREES = "≠"

#: Characters that Markdown would interpret in a cell; it leaves ``_`` inside a word alone.
_MARKDOWN_SYNTAX = re.compile(r"[\\`*|<\[\]~&]|(?<![^\W_])_|_(?![^\W_])")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading.
        right: Whether its cells are aligned to the right, as numbers are.
        wraps: Whether long cells may continue on the next line.
        widest: The most characters on one line of a column that wraps; 0 for no limit.
        narrowest: The fewest characters on one line of a column that wraps.
    """

    heading: str
    right: bool = False
    wraps: bool = False
    widest: int = 0
    narrowest: int = 20


@dataclass(frozen=True)
class Note:
    """A remark below a table, and details that are indented below it."""

    text: str
    details: str = ""


@dataclass(frozen=True)
class Table:
    """A table that can be rendered as text, Markdown or HTML.

    Attributes:
        title: Its title; a table without columns is only this sentence.
        columns: Its columns.
        rows: For each row a cell for each column, as plain text.
        total: The last row, set apart; empty if there is none.
        notes_heading: A line above the notes; empty if there is none.
        notes: Remarks below the table.
    """

    title: str
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    total: tuple[str, ...] = ()
    notes_heading: str = ""
    notes: tuple[Note, ...] = ()


def to_markdown(table: Table) -> str:
    """Write a table and its notes in GitHub's Markdown. The title is left out.

    Example:
        >>> print(to_markdown(Table("", (Column("name"),), (("conv1",),), notes=(Note("new"),))))
        | name |
        |---|
        | conv1 |
        <BLANKLINE>
        - new
    """
    rows = [*table.rows, *([table.total] if table.total else [])]
    right = [i for i, column in enumerate(table.columns) if column.right]
    parts = [markdown([column.heading for column in table.columns], rows, right)]
    if not table.columns:
        parts = [escaped(table.title)]
    if table.notes:
        parts += ["", *([table.notes_heading, ""] if table.notes_heading else [])]
    for note in table.notes:
        parts.append(f"- {escaped(note.text)}")
        if note.details:
            parts.append(f"  - {escaped(note.details)}")
    return "\n".join(parts)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int]) -> str:
    r"""Write cells as a table in GitHub's Markdown.

    Args:
        headings: One for each column.
        rows: Their cells, as plain text. Markdown syntax in them is escaped.
        right: Positions of the columns that are aligned to the right.

    Example:
        >>> print(markdown(["name", "size"], [["a|b", "1"]], [1]))
        | name | size |
        |---|--:|
        | a\|b | 1 |
    """
    aligned_right = set(right)
    rule = ("--:" if i in aligned_right else "---" for i in range(len(headings)))
    lines = [_line(map(escaped, headings)), f"|{'|'.join(rule)}|"]
    return "\n".join([*lines, *(_line(map(escaped, row)) for row in rows)])


def escaped(text: str) -> str:
    r"""Escape a string so that Markdown shows it literally, on one line, with its indentation.

    Example:
        >>> escaped("branch_pool *")
        'branch_pool \\*'
    """
    indent = "&nbsp;" * (len(text) - len(text.lstrip(" ")))
    return indent + _MARKDOWN_SYNTAX.sub(r"\\\g<0>", " ".join(printable(text).split()))


def comma_separated(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Write cells as CSV (RFC 4180, with a line feed at the end of each line).

    Example:
        >>> comma_separated(["name", "about"], [["a", 'One, and "two".']])
        'name,about\na,"One, and ""two""."\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue()


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
