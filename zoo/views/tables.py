"""Tables as text for other programs: Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

#: What Markdown would read as a sign of its own in a cell; ``_`` is none within a word.
_SIGNS = re.compile(r"[\\`*|<\[\]~&]|(?<![^\W_])_|_(?![^\W_])")


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int]) -> str:
    r"""Write a table as GitHub's Markdown.

    Args:
        headings: One a column.
        rows: Their cells, as plain text; what Markdown would take for a sign is escaped.
        right: Numbers of the columns that stand to the right.

    Example:
        >>> print(markdown(["name", "size"], [["a|b", "1"]], [1]))
        | name | size |
        |---|--:|
        | a\|b | 1 |
    """
    to_the_right = set(right)
    marks = ("--:" if i in to_the_right else "---" for i in range(len(headings)))
    lines = [_line(map(escaped, headings)), f"|{'|'.join(marks)}|"]
    return "\n".join([*lines, *(_line(map(escaped, row)) for row in rows)])


def escaped(text: str) -> str:
    r"""A text that Markdown shows as it is, in one line.

    Example:
        >>> escaped("branch_pool *")
        'branch_pool \\*'
    """
    return _SIGNS.sub(r"\\\g<0>", " ".join(text.split()))


def comma_separated(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Write a table as CSV (RFC 4180, with a line feed at the end of a line).

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
