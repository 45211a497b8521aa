"""The options of a network: auxiliary heads, classes, and channels and size of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from zoo import arguments
from zoo.errors import InputError

MAX_IMAGE = 8_192  # pixels a side
MAX_COUNT = 1_000_000  # classes or channels
_NAMES = "a list of the names of the classes in the order of their numbers"


class Chosen(NamedTuple):
    """The options that a caller chose; None stands for the value in the spec.

    A ``num_classes`` of 0 stands for the network without its classifier. ``classes`` are the names.
    """

    aux: bool = False
    num_classes: int | None = None
    in_channels: int | None = None
    input_size: tuple[int, int] | None = None
    classes: tuple[str, ...] | None = None


def checked(
    aux: Any, num_classes: Any, in_channels: Any, input_size: Any, classes: Any = None
) -> Chosen:
    """Check the options that a caller chose, and return them.

    Raises:
        InputError: A value is invalid, or two contradict each other.
    """
    chosen = Chosen(
        arguments.flag("aux", aux),
        None if num_classes is None else count("num_classes", num_classes, least=0),
        None if in_channels is None else count("in_channels", in_channels),
        None if input_size is None else size(input_size),
        None if classes is None else names(classes),
    )
    if chosen.aux and chosen.num_classes == 0:
        raise InputError("auxiliary heads are classifiers: num_classes cannot be 0 with aux=True")
    if chosen.classes is None or chosen.num_classes == len(chosen.classes):
        return chosen
    if chosen.num_classes is not None:
        raise InputError(
            f"num_classes is {chosen.num_classes}, but classes has {len(chosen.classes)} names"
        )
    return chosen._replace(num_classes=len(chosen.classes))


def names(value: Any) -> tuple[str, ...]:
    """Return the names of classes.

    Raises:
        InputError: They are not a list of at least one string. A dict or a set is none: its order
            need not be that of the numbers.

    Example:
        >>> names(["cat", "dog"])
        ('cat', 'dog')
    """
    unordered = isinstance(value, str | Mapping | Set)
    listed = None if unordered else arguments.texts("classes", value, _NAMES)
    if not listed or any(not name.strip() for name in listed) or len(listed) > MAX_COUNT:
        raise arguments.wrong("classes", _NAMES, value)
    return tuple(listed)


def count(name: str, value: Any, least: int = 1) -> int:
    """Return a number of classes or channels as an int; NumPy integers are accepted.

    Raises:
        InputError: It is not an integer from ``least`` to ``MAX_COUNT``.

    Example:
        >>> count("num_classes", 10)
        10
    """
    number = arguments.as_integer(value)
    if number is None or not least <= number <= MAX_COUNT:
        raise arguments.wrong(name, f"an integer from {least} to {MAX_COUNT:,}", value)
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
