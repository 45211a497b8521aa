"""Which runs a study consists of: aligned, native, and what lies between to explain the gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.comparing.results import Condition

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: The largest number of switches that a design has room for: that of the largest matrix.
MOST = 24


def levels(factors: Sequence[str]) -> list[frozenset[str]]:
    """Return sets of native factors from which the effect of each can be told.

    They are a two-level design of resolution IV: a Hadamard matrix and its opposite (a fold-over).
    The effect of a factor is not mixed with that of any other, nor with the interaction of any two.
    Up to three factors, all combinations are there. The first set has no factor, and the last has
    all.

    Args:
        factors: At most ``MOST`` names.

    Source: Plackett and Burman, The Design of Optimum Multifactorial Experiments, Biometrika 33,
    1946; Box and Wilson, On the Experimental Attainment of Optimum Conditions, 1951 (fold-over)

    Example:
        >>> [sorted(each) for each in levels(["a", "b"])]
        [[], ['a'], ['b'], ['a', 'b']]
        >>> [len(levels(list("abcdefghijkl"[:n]))) for n in (0, 1, 3, 4, 5, 8, 9, 12)]
        [1, 2, 8, 8, 16, 16, 24, 24]
    """
    if not factors:
        return [frozenset()]
    matrix = _hadamard(len(factors))[:, : len(factors)]
    rows = np.unique(np.concatenate([matrix, -matrix]), axis=0)
    found = {frozenset(f for f, sign in zip(factors, row, strict=True) if sign > 0) for row in rows}
    return sorted(found, key=lambda each: (len(each), [f not in each for f in factors]))


def all_of(
    model: str,
    data: str,
    grid: Mapping[str, Any],
    *,
    seeds: Sequence[int],
    factors: Sequence[str],
    explain: bool,
    crossed: bool,
    repeats: int,
) -> Iterator[Condition]:
    """Yield the conditions of a network, a dataset and a combination of the grid, each once.

    Args:
        model: The network.
        data: The dataset.
        grid: Fields of the recipe that the study varies, with the values that they have here.
        seeds: Random seeds.
        factors: The switches that are native in a native run.
        explain: Whether there are runs with some of them native.
        crossed: Whether aligned and native runs combine all seeds of weights and orders.
        repeats: How often aligned runs are repeated without asking for deterministic kernels.
    """
    none, every = frozenset[str](), frozenset(factors)
    whole = [none, every] if every else [none]
    pairs = [(w, o) for w in seeds for o in seeds] if crossed else [(s, s) for s in seeds]
    # Seed by seed: a study that is interrupted has whole conditions of the first seeds.
    for weights, order in sorted(pairs, key=lambda pair: (pair[0] != pair[1], max(pair), pair)):
        sets = whole + [s for s in levels(factors) if explain and weights == order]
        for native in dict.fromkeys(sets):
            yield Condition(model, data, grid, native, weights, order)
        for repeat in range(repeats if weights == order else 0):
            yield Condition(model, data, grid, none, weights, order, repeat, deterministic=False)


def _hadamard(least: int) -> Array:
    """Return the smallest Hadamard matrix of at least so many columns that is known here.

    Its first row and its first column are ones.
    """
    for order in (1, 2, 4, 8, 12, 16, 20, 24):
        if order >= least:
            return _paley(order) if order in (12, 20, 24) else _sylvester(order)
    raise ValueError(f"a design of {least} factors, and at most {MOST} are possible")


def _sylvester(order: int) -> Array:
    matrix = np.ones((1, 1), np.int64)
    while len(matrix) < order:
        matrix = np.kron(np.array([[1, 1], [1, -1]]), matrix)
    return matrix


def _paley(order: int) -> Array:
    """Return Paley's matrix of a prime of the form 4 k + 3, which is the order minus 1."""
    prime = order - 1
    squares = {i * i % prime for i in range(1, prime)}
    residues = np.array([0 if i == 0 else 1 if i in squares else -1 for i in range(prime)])
    places = np.arange(prime)
    core = residues[(places[None, :] - places[:, None]) % prime]
    skew = np.zeros((order, order), np.int64)
    skew[0, 1:], skew[1:, 0], skew[1:, 1:] = 1, -1, core
    matrix = skew + np.eye(order, dtype=np.int64)
    matrix = matrix * matrix[:1, :]  # the first row becomes ones
    result: Array = matrix * matrix[:, :1]  # and so does the first column
    return result
