"""The options of a network: auxiliary heads, classes, and channels and size of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from zoo import arguments

MAX_IMAGE = 8_192  # pixels a side
MAX_COUNT = 1_000_000  # classes or channels


class Chosen(NamedTuple):
    """The options that a caller chose; None stands for the value in the spec."""

    aux: bool = False
    num_classes: int | None = None
    in_channels: int | None = None
    input_size: tuple[int, int] | None = None


def checked(aux: Any, num_classes: Any, in_channels: Any, input_size: Any) -> Chosen:
    """Check the options that a caller chose, and return them.

    Raises:
        InputError: A value is invalid.
    """
    return Chosen(
        arguments.flag("aux", aux),
        None if num_classes is None else count("num_classes", num_classes),
        None if in_channels is None else count("in_channels", in_channels),
        None if input_size is None else size(input_size),
    )


def count(name: str, value: Any) -> int:
    """Return a number of classes or channels as an int; NumPy integers are accepted.

    Raises:
        InputError: It is not an integer from 1 to ``MAX_COUNT``.

    Example:
        >>> count("num_classes", 10)
        10
    """
    number = arguments.as_integer(value)
    if number is None or not 1 <= number <= MAX_COUNT:
        raise arguments.wrong(name, f"an integer from 1 to {MAX_COUNT:,}", value)
    return number


def size(value: Any) -> tuple[int, int]:
    """Return an input size as (height, width).

    Raises:
        InputError: It is neither a number of pixels nor a pair of them.

    Example:
        >>> size(224), size([240, 320])
        ((224, 224), (240, 320))
    """
    sides = value if isinstance(value, Sequence) and len(value) == 2 else (value, value)
    height, width = map(arguments.as_integer, sides)
    if any(side is None or not 1 <= side <= MAX_IMAGE for side in (height, width)):
        expected = f"an integer from 1 to {MAX_IMAGE} or (height, width)"
        raise arguments.wrong("input_size", expected, value)
    assert height is not None and width is not None
    return height, width
