"""Marks within the text of a source file: which part of it belongs to which layer of the spec.

Writers put them around what they write, and nobody else sees them. They are characters of Unicode's
private use areas, which no line's length counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from zoo.language.places import Span
from zoo.writing.layout import END, MARKS, START, Bracket, Expression

_NAMES = 0xF0000  # of the first name's character
_MOST = 0xFFFD


@dataclass
class Marks:
    """The marks of one file."""

    names: list[str] = field(default_factory=list)

    def pair(self, name: str) -> tuple[str, str]:
        """Return what precedes and follows the text of a layer."""
        if name not in self.names and len(self.names) < _MOST:
            self.names.append(name)
        return f"{START}{chr(_NAMES + self.names.index(name))}", END

    def around(self, name: str, expression: Expression) -> Expression:
        """Mark an expression; of a call, only what is called."""
        start, end = self.pair(name)
        if isinstance(expression, str):
            return f"{start}{expression}{end}"
        if isinstance(expression, Bracket) and expression.before:
            return replace(expression, before=self.around(name, expression.before))
        return expression

    def spans(self, text: str) -> tuple[str, list[Span]]:
        """Return a text without marks, and the parts that were marked, outer ones first."""
        found: list[Span] = []
        opened: list[tuple[int, str]] = []
        plain: list[str] = []
        length = 0
        for part in re.split(f"({MARKS.pattern})", text):
            number = ord(part[1]) - _NAMES if part.startswith(START) and len(part) == 2 else -1
            if 0 <= number < len(self.names):
                opened.append((length, self.names[number]))
            elif part == END and opened:
                start, name = opened.pop()
                found.append(Span(start, length, name))
            elif not MARKS.fullmatch(part):  # such characters in a spec's own text are left out
                plain.append(part)
                length += len(part)
        return "".join(plain), sorted(found, key=lambda span: (span.start, -span.end))


def plain(text: str) -> str:
    """Return a text without marks."""
    return MARKS.sub("", text)
