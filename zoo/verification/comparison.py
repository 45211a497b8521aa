"""What the difference between two values of a node is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def error(value: Array, reference: Array) -> float:
    """Return max|value - reference| / max|reference|, over the whole node and never elementwise.

    Infinity where the shapes differ or a value is not finite, so that nothing passes by accident.

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
    """The largest error of any node, and which node that is."""

    error: float
    node: str


def top(logits: Array, count: int = 5) -> list[int]:
    """Return the indices of the largest logits of the first example, largest first."""
    values = logits[0].astype(np.float64).ravel()
    return [int(i) for i in np.argsort(-values, kind="stable")[:count]]
