"""Measures the difference between two values of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def error(value: Array, reference: Array) -> float:
    """Return max|value - reference| / max|reference| over the whole node, never elementwise.

    The error is infinite if the shapes differ or a value is not finite, so that no tolerance
    accepts it.

    Example:
        >>> error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
        0.5
    """
    if value.shape != reference.shape:
        return float("inf")
    largest = float(np.abs(reference).max(initial=0))
    difference = float(np.abs(value.astype(np.float64) - reference).max(initial=0))
    if not np.isfinite(difference):
        return float("inf")
    return difference / largest if largest else difference


@dataclass(frozen=True)
class Worst:
    """The largest error of any node, and the name of that node."""

    error: float
    node: str


def worst(errors: Mapping[str, float]) -> Worst:
    """Return the largest of these errors with its node.

    Example:
        >>> worst({"conv": 1e-7, "output:logits": 1e-6})
        Worst(error=1e-06, node='output logits')
    """
    node = max(errors, key=lambda name: errors[name])
    return readable(Worst(errors[node], node))


def differences(
    first: Mapping[str, Array],
    second: Mapping[str, Array],
    names: Sequence[str],
    allowed: float = float("inf"),
) -> tuple[Worst, Worst]:
    """Compare arrays by their largest difference, relative to the largest value of all of them.

    Args:
        first: Name -> array; the largest value is one of these.
        second: The same names.
        names: Which to compare.
        allowed: The largest error that is not reported.

    Returns:
        The worst array, and the array to report: the first in the order of ``names`` whose error
        exceeds ``allowed``, or else the worst.
    """
    largest = max(float(np.abs(first[name]).max()) for name in names) or 1.0
    errors = {name: _difference(first[name], second[name]) / largest for name in names}
    worst_name = max(errors, key=lambda name: errors[name])
    worst = Worst(errors[worst_name], worst_name)
    return worst, next((Worst(e, n) for n, e in errors.items() if not e <= allowed), worst)


def _difference(a: Array, b: Array) -> float:
    if a.shape != b.shape:
        return float("inf")
    difference = float(np.abs(a - b).max())
    return difference if difference == difference else float("inf")


def readable(result: Worst) -> Worst:
    """Replace the key of an output, such as ``output:logits``, by readable text."""
    return Worst(result.error, result.node.replace("output:", "output "))


def top(logits: Array, count: int = 5) -> list[int]:
    """Return the indices of the largest logits of the first example, largest first."""
    values = logits[0].astype(np.float64).ravel()
    return [int(i) for i in np.argsort(-values, kind="stable")[:count]]
