"""Small random networks that test operations, from any source of random choices.

The tests use Hypothesis, which is not needed at run time; :class:`Generator` uses NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Case(NamedTuple):
    """A network of one or a few layers; the value of the last one is compared.

    Attributes:
        channels: The channels of its input.
        layers: Layers as in a spec, optionally with a ``name``.
    """

    channels: int
    layers: Sequence[dict[str, Any]]

    def document(self) -> dict[str, Any]:
        """Return the case as a spec.

        Example:
            >>> Case(3, [{"op": "relu"}]).document()["layers"]
            {'n0': {'op': 'relu'}}
        """
        named = {layer.get("name", f"n{i}"): dict(layer) for i, layer in enumerate(self.layers)}
        for layer in named.values():
            layer.pop("name", None)
        return {"format": 1, "name": "case", "layers": named}


class Draw(Protocol):
    """A source of choices."""

    def integer(self, least: int, most: int) -> int:
        """Return an integer between two inclusive bounds."""

    def choice(self, values: Sequence[T]) -> T:
        """Return one of some values."""


class Generator:
    """Draws random choices with NumPy.

    Example:
        >>> draw = Generator(seed=0)
        >>> 1 <= draw.integer(1, 3) <= 3, draw.choice(["relu"])
        (True, 'relu')
    """

    def __init__(self, seed: int) -> None:
        """Start from a seed."""
        self._random = np.random.default_rng(seed)

    def integer(self, least: int, most: int) -> int:
        """Return an integer between two inclusive bounds."""
        return int(self._random.integers(least, most + 1))

    def choice(self, values: Sequence[T]) -> T:
        """Return one of some values."""
        return values[self.integer(0, len(values) - 1)]


def boolean(draw: Draw) -> bool:
    """Draw True or False."""
    return draw.choice((False, True))


def integers(draw: Draw, least: int, most: int, length: int) -> list[int]:
    """Draw a list of integers."""
    return [draw.integer(least, most) for _ in range(length)]


def padding(draw: Draw, most: int) -> Any:
    """Draw a padding in any of its forms."""
    length = draw.choice((0, 1, 2, 4))
    if not length:
        return "same"
    values = integers(draw, 0, most, length)
    return values[0] if length == 1 else values
