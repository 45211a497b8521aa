"""Holds weights against what a model expects: strictly, and with one readable error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import WeightsError
from zoo.network import Shape, text_of

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

_SHOWN = 12  # lines of each kind in an error


def fitting(
    expected: Mapping[str, Shape], given: Mapping[str, Array], omitted: Sequence[str] = ()
) -> dict[str, Array]:
    """Return the given weights that a model takes, in its order.

    Args:
        expected: Canonical name -> shape.
        given: Canonical name -> array.
        omitted: Top-level names (aux heads) whose weights may be given and are left out.

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
        if name in expected or name.partition(".")[0] not in omitted
    }
    problems = [
        [f"- {n}  {text_of(s)}" for n, s in expected.items() if n not in arrays],
        [f"+ {n}  {text_of(a.shape)}" for n, a in arrays.items() if n not in expected],
        [
            f"! {n}  expected {text_of(s)}, got {text_of(arrays[n].shape)}"
            for n, s in expected.items()
            if n in arrays and arrays[n].shape != tuple(s)
        ],
    ]
    for lines in problems:
        if len(lines) > _SHOWN:
            lines[_SHOWN:] = [f"{lines[0][0]} ... and {len(lines) - _SHOWN} more"]
    if any(problems):
        listed = "\n".join(f"  {line}" for lines in problems for line in lines)
        raise WeightsError(f"the weights do not fit the model:\n{listed}")
    for name in expected:
        if (
            not np.issubdtype(arrays[name].dtype, np.floating)
            and arrays[name].dtype.name != "bfloat16"
        ):
            raise WeightsError(f"{name}: expected floating-point values, got {arrays[name].dtype}")
    return {name: arrays[name] for name in expected}
