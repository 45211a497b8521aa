"""Holds weights against what a model expects: strictly, and with one readable error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from zoo.errors import WeightsError
from zoo.graphs.shapes import Shape, text_of

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: dtypes that weights can have, the widest first
DTYPES = ("float64", "float32", "bfloat16", "float16")

_SHOWN = 12  # lines of each kind in an error


def fitting(
    expected: Mapping[str, Shape], given: Mapping[str, Array], omitted: Collection[str] = ()
) -> dict[str, Array]:
    """Return the given weights that a model takes, in its order.

    Args:
        expected: Canonical name -> shape.
        given: Canonical name -> array.
        omitted: Names (of auxiliary heads) that may be given too and are left out.

    Raises:
        WeightsError: What is missing (-), unexpected (+), or of another shape (!).

    Example:
        >>> fitting({"a": (2,)}, {"b": np.zeros(2)})
        Traceback (most recent call last):
        zoo.errors.WeightsError: the weights do not fit the model:
          - a  2
          + b  2
    """
    arrays = {
        name: np.asarray(value)
        for name, value in given.items()
        if name in expected or name not in omitted
    }
    check(expected, {name: (array.shape, array.dtype.name) for name, array in arrays.items()})
    return {name: arrays[name] for name in expected}


def check(
    expected: Mapping[str, Shape],
    given: Mapping[str, tuple[Shape, str]],
    omitted: Collection[str] = (),
    what: str = "the weights",
    hint: str = "",
    whose: str = "the model",
) -> None:
    """Refuse weights that do not fit.

    Args:
        expected: Canonical name -> shape.
        given: Canonical name -> shape and dtype.
        omitted: Names (of auxiliary heads) that may be given too.
        what: What does not fit, for the message.
        hint: What to do, to end it with.
        whose: What they do not fit, for the message.

    Raises:
        WeightsError: What is missing (-), unexpected (+), or of another shape (!).
    """
    problems = [
        [f"- {n}  {text_of(s)}" for n, s in expected.items() if n not in given],
        [
            f"+ {n}  {text_of(s)}"
            for n, (s, _) in given.items()
            if n not in expected and n not in omitted
        ],
        [
            f"! {n}  expected {text_of(s)}, got {text_of(given[n][0])}"
            for n, s in expected.items()
            if n in given and tuple(given[n][0]) != tuple(s)
        ],
    ]
    for lines in problems:
        if len(lines) > _SHOWN:
            lines[_SHOWN:] = [f"{lines[0][0]} ... and {len(lines) - _SHOWN} more"]
    if any(problems):
        listed = "\n".join(f"  {line}" for lines in problems for line in lines)
        raise WeightsError(f"{what} do not fit {whose}:\n{listed}" + (hint and f"\n{hint}"))
    for name in expected:
        if given[name][1] not in DTYPES:
            raise WeightsError(f"{name}: expected floating-point values, got {given[name][1]}")


def widest(dtypes: Iterable[str]) -> str:
    """Return the narrowest dtype that holds all values of these.

    Example:
        >>> widest(["float16", "float32"]), widest(["float16", "bfloat16"])
        ('float32', 'float32')
    """
    found = set(dtypes)
    if found == {"float16", "bfloat16"}:  # neither holds the other
        return "float32"
    return next((dtype for dtype in DTYPES if dtype in found), "float32")
