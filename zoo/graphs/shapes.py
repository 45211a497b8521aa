"""Shapes with named axes, without the batch axis."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Map(NamedTuple):
    """The shape of a feature map.

    Example:
        >>> shape = Map(64, 112, 112)
        >>> shape.channels, shape == (64, 112, 112)
        (64, True)
    """

    channels: int
    height: int
    width: int


class Vector(NamedTuple):
    """The shape of a vector of features."""

    features: int


_MAX_SHOWN = 64  # sizes, and characters, of a shape in a text

#: The shape of any array, such as a parameter.
Shape: TypeAlias = tuple[int, ...]

#: The shape of the output of a node.
NodeShape: TypeAlias = Map | Vector

#: The kinds of shape that a node can have.
KINDS: tuple[type[Map] | type[Vector], ...] = (Map, Vector)


def named(shape: Shape) -> NodeShape:
    """Return the shape of a node with named axes.

    Example:
        >>> named((64, 112, 112)), named((1024,))
        (Map(channels=64, height=112, width=112), Vector(features=1024))
    """
    if type(shape) is Map or type(shape) is Vector:
        return shape
    return Map(*shape) if len(shape) == 3 else Vector(*shape)


def text_of(shape: Shape) -> str:
    """Write a shape as papers do.

    Example:
        >>> text_of((64, 112, 112))
        '64x112x112'
        >>> len(text_of((1,) * 100_000))  # as a damaged file may state
        82
    """
    text = "x".join(map(str, shape[:_MAX_SHOWN]))
    if len(shape) <= _MAX_SHOWN and len(text) <= _MAX_SHOWN:
        return text
    return f"{text[:_MAX_SHOWN]}... ({len(shape):,} axes)"
