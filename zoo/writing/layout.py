"""Lays out expressions and statements of Python within a line's length, as ruff does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LINE = 88  # ruff's default
INDENT = 4

#: What marks a part of a text; see ``zoo.writing.marks``.
START, END = "\ue000", "\ue001"
MARKS = re.compile(f"{START}.|{END}")


@dataclass(frozen=True)
class Bracket:
    """Items in brackets: a call, a tuple, a list or a dict.

    Attributes:
        before: What precedes the bracket, such as the function of a call.
        items: A prefix, such as ``stride=``, and an expression for each item.
        brackets: The two brackets.
    """

    before: Expression
    items: tuple[tuple[str, Expression], ...]
    brackets: str = "()"

    @property
    def is_call(self) -> bool:
        return self.before != ""


@dataclass(frozen=True)
class Choice:
    """One of two expressions: ``value if condition else otherwise``."""

    value: Expression
    condition: str
    otherwise: Expression


Expression = str | Bracket | Choice


def call(function: Expression, items: Iterable[Expression | tuple[str, Expression]]) -> Bracket:
    """Return the call of a function with arguments, of which some have names."""
    pairs = [("", item) if not isinstance(item, tuple) else item for item in items]
    return Bracket(function, tuple((f"{name}=" if name else "", item) for name, item in pairs))


def collection(items: Iterable[Expression], brackets: str = "()") -> Bracket:
    """Return a tuple or list of expressions."""
    return Bracket("", tuple(("", item) for item in items), brackets)


def text(expression: Expression) -> str:
    """Return an expression on one line."""
    if isinstance(expression, str):
        return expression
    if isinstance(expression, Choice):
        value, otherwise = text(expression.value), text(expression.otherwise)
        return f"{value} if {expression.condition} else {otherwise}"
    inner = ", ".join(prefix + text(item) for prefix, item in expression.items)
    if expression.brackets == "()" and not expression.is_call and len(expression.items) == 1:
        inner += ","
    return f"{text(expression.before)}{expression.brackets[0]}{inner}{expression.brackets[1]}"


def width(text: str) -> int:
    """Return the length of a text without marks."""
    return len(MARKS.sub("", text)) if START in text or END in text else len(text)


def lines(prefix: str, expression: Expression, suffix: str = "", indent: int = 0) -> list[str]:
    """Return the lines of an expression between a prefix and a suffix.

    Example:
        >>> print("\\n".join(lines("x = ", call("f", ["a" * 50, "b" * 50]))))
        x = f(
            aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,
            bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,
        )
    """
    space = " " * indent
    line = f"{space}{prefix}{text(expression)}{suffix}"
    if width(line) <= LINE or isinstance(expression, str):
        return [line]
    if isinstance(expression, Choice):
        return _choice(prefix, expression, suffix, indent)
    if isinstance(expression.before, Bracket):
        head = f"{space}{prefix}{text(expression.before)}{expression.brackets[0]}"
        if width(head) > LINE:
            inner = ", ".join(item_prefix + text(item) for item_prefix, item in expression.items)
            return lines(prefix, expression.before, f"({inner}){suffix}", indent)
    opening, closing = expression.brackets[0], expression.brackets[1]
    inner = space + " " * INDENT + ", ".join(p + text(i) for p, i in expression.items)
    if expression.is_call and width(inner) <= LINE:
        body = [inner]
    else:
        body = [
            line
            for item_prefix, item in expression.items
            for line in lines(item_prefix, item, ",", indent + INDENT)
        ]
    return [
        f"{space}{prefix}{text(expression.before)}{opening}",
        *body,
        f"{space}{closing}{suffix}",
    ]


def _choice(prefix: str, choice: Choice, suffix: str, indent: int) -> list[str]:
    space, inner = " " * indent, indent + INDENT
    whole = " " * inner + text(choice)
    if width(whole) <= LINE:
        body = [whole]
    else:
        body = [
            *lines("", choice.value, "", inner),
            f"{' ' * inner}if {choice.condition}",
            *lines("else ", choice.otherwise, "", inner),
        ]
    return [f"{space}{prefix}(", *body, f"{space}){suffix}"]


def paragraph(sentences: Sequence[str], indent: int, first: str = "", last: str = "") -> list[str]:
    """Wrap words to lines; the first and last line have room for what surrounds them."""
    width, space = LINE - indent - len(last), " " * indent
    found, line = [], first
    for word in " ".join(sentences).split():
        joint = "" if line in ("", first) else " "
        if len(line) + len(joint) + len(word) > width:
            found.append(space + line)
            line, joint = "", ""
        line += joint + word
    if last and found:
        return [*found, space + line, space + last]
    return [*found, (space + line + last).rstrip()]
