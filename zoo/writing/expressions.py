"""Expressions of source code: constants, and layers and templates with values put in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.writing.folding import Text
from zoo.writing.layout import INDENT, Bracket, Expression, call, collection, lines, text
from zoo.writing.pieces import Chain, Either, Layer, Member, Used
from zoo.writing.scope import ABSENT


def name_of_one(member: Member) -> str:
    """Return the expression for the name of one repetition."""
    return (member.loop and member.loop.row) or f'f"{member.key}{{i + 1}}"'


def replaced_value(value: Any, items: Mapping[str, Text]) -> Any:
    """Return a value in which names stand for others."""
    if isinstance(value, tuple):
        return tuple(replaced_value(item, items) for item in value)
    if not isinstance(value, Text):
        return value
    return Text(re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda m: items.get(m[0], m[0]), value))


def replaced(layer: Layer, items: Mapping[str, Text]) -> Layer:
    """Return a layer in whose arguments names stand for others."""
    if isinstance(layer, Chain):
        members = [replace(m, layer=replaced(m.layer, items)) for m in layer.members]
        return Chain(tuple(members))
    if isinstance(layer, Either):
        condition = replaced_value(layer.condition, items)
        return Either(condition, replaced(layer.first, items), replaced(layer.second, items))
    arguments = {k: replaced_value(v, items) for k, v in layer.arguments.items()}
    if isinstance(layer, Used):
        return replace(layer, arguments=arguments, name=replaced_value(layer.name, items))
    return replace(layer, arguments=arguments)


def reads(code: Sequence[str], name: str) -> bool:
    """Tell whether lines of code read a name."""
    return any(re.search(rf"(?<![\w.]){name}\b", line) for line in code)


def filled(template: str, inputs: Sequence[Expression]) -> Expression:
    """Return an expression with its inputs in place."""
    if "{}" in template:
        parts = [text(value) for value in inputs]
        operator = template[2:-2].split("{}")[0].strip() if len(inputs) > 1 else ""
        if operator == "*":
            parts = [
                f"({part})" if re.search(r" [+-] ", _outside(part)) else part for part in parts
            ]
        return template.format(*parts)
    match = re.fullmatch(r"([\w.]+)\((.*?)\binputs\b(.*)\)", template)
    if match:  # a call whose first argument is the tuple of inputs
        rest = [part for part in match[3].split(", ") if part]
        return call(match[1], [collection(inputs), *rest])
    (value,) = inputs
    inner = text(value)
    if " " in _outside(inner):
        inner = f"({inner})"
    return re.sub(r"\binput\b", lambda match: inner, template)


def _outside(expression: str) -> str:
    """Return an expression without what is in brackets."""
    while (shorter := re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", expression)) != expression:
        expression = shorter
    return expression


def exploded(prefix: str, bracket: Bracket) -> list[str]:
    """Return a collection with a line for each item."""
    opening, closing = bracket.brackets[0], bracket.brackets[1]
    body = [line for item, value in bracket.items for line in lines(item, value, ",", INDENT)]
    return [f"{prefix}{opening}", *body, closing]


def shown(value: Any) -> Expression:
    """Return a constant or an expression as Python writes it, with double quotes."""
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, tuple | list):
        return collection(map(shown, value))
    if isinstance(value, str):
        return f'"{value}"'
    return "None" if value is ABSENT else repr(value)


def same_constant(one: Any, other: Any) -> bool:
    """Tell whether two constants are the same to Python, where True is not 1."""
    return (type(one) is type(other) and one == other) or (
        not isinstance(one, bool) and not isinstance(other, bool) and one == other
    )
