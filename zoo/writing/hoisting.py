"""Gives an expression that a piece has several times a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from zoo.writing.folding import Text
from zoo.writing.pieces import Chain, Either, Layer, Made, Member, Piece, Used, leaves

#: How often an expression is written out.
REPEATED = 3
NAMES = ("width", "hidden", "size")


def hoist(piece: Piece) -> None:
    """Name the expressions of numbers that the members of a piece share."""
    counts = Counter(
        text
        for member in piece.members
        if not member.loop
        for text in _texts(member.layer)
        if not text.isidentifier() and " " in text and "==" not in text and " if " not in text
    )
    if any(member.loop for member in piece.members):
        return  # whose names change on the way
    taken = {*piece.parameters, *piece.local}
    for text, count in counts.items():
        if count < REPEATED or _is_condition(text):
            continue
        name = next(name for name in NAMES if name not in taken)
        taken.add(name)
        piece.local[name] = text
        piece.members = tuple(_renamed(member, text, Text(name)) for member in piece.members)


def _is_condition(text: str) -> bool:
    return any(word in text for word in ("not ", " and ", " or ", "!=", "<", ">"))


def _texts(layer: Layer) -> Iterator[Text]:
    for leaf in leaves(layer):
        yield from (value for value in leaf.arguments.values() if isinstance(value, Text))


def _renamed(member: Member, text: Text, name: Text) -> Member:
    return replace(member, layer=_layer(member.layer, text, name))


def _layer(layer: Layer, text: Text, name: Text) -> Layer:
    if isinstance(layer, Chain):
        return Chain(tuple(_renamed(member, text, name) for member in layer.members))
    if isinstance(layer, Either):
        first, second = _layer(layer.first, text, name), _layer(layer.second, text, name)
        return Either(layer.condition, first, second)
    assert isinstance(layer, Made | Used)
    arguments = {k: name if v == text else v for k, v in layer.arguments.items()}
    return replace(layer, arguments=arguments)
