"""Where the spread of runs comes from: initial weights, order of the data, framework, kernels.

The method is the analysis of variance of crossed random factors, by moments: each mean square is
set equal to what is expected of it, and the equations are solved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import Any

import numpy as np
from scipy.special import chdtri

from zoo.comparing.pairing import ALIGNED, MEASURES, NATIVE, Place, Runs, Seeds, independent, status
from zoo.comparing.results import Trained
from zoo.comparing.statistics import CONFIDENCE

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
#: The factors of a term.
Term = tuple[str, ...]

DRAWS = 999
#: Seeds from which on they say anything of the spread of others.
LEAST_SEEDS = 5
WEIGHTS, ORDER, SEED, FRAMEWORK = "initial weights", "order of data", "seed", "framework"
KERNELS = "kernel noise"


@dataclass(frozen=True)
class Component:
    """A part of the variance.

    Attributes:
        name: What it is due to: a factor, an interaction such as ``seed × framework``, or
            ``kernel noise``: runs of which everything is equal.
        variance: The estimate; 0 if it came out negative.
        low, high: Its 95% interval, as of normal values; None with fewer than five seeds. That of
            the framework is for these frameworks, by the bootstrap over seeds.
        share: Of the total.
        negative: Whether it came out negative, as small ones often do.
        levels: How many levels of the factor, or of the factors together.
    """

    name: str
    variance: float
    low: float | None
    high: float | None
    share: float
    negative: bool
    levels: int


@dataclass(frozen=True)
class Variance:
    """The components of the variance of an arm.

    Attributes:
        place: The network, the dataset, and the point of the grid.
        arm: ``aligned`` or ``native``.
        measure: ``top1`` or ``loss``.
        crossed: Whether weights and orders were combined, and are told apart.
        components: In the order of the factors, then their interactions, then the noise.
        runs: How many runs the analysis is of.
        total: The sum of all components.
    """

    place: Place
    arm: str
    measure: str
    crossed: bool
    components: tuple[Component, ...]
    runs: int
    total: float


def variance(runs: Iterable[Trained], backends: Sequence[str] = ()) -> list[Variance]:
    """Divide the variance of top-1 and of loss among its sources.

    Where every seed of weights was combined with every seed of orders, these are two factors;
    otherwise, the seed is one. Only runs above chance level count, and the design must be
    complete: what lacks a run is left out.

    Args:
        runs: All of a study.
        backends: In the order in which they are to be compared.

    Source: Searle, Casella and McCulloch, Variance Components, chapter 4,
    https://doi.org/10.1002/9780470316856

    Example:
        >>> from zoo.comparing.results import Condition
        >>> def run(backend, seed, top1):
        ...     condition = Condition("lenet5", "digits", {}, frozenset(), seed, seed)
        ...     return Trained(condition, backend, {}, top1, 1.0)
        >>> found = variance(run(b, s, 0.9 + 0.01 * s) for b in ("torch", "keras") for s in (0, 1))
        >>> [(c.name, round(c.variance, 7)) for c in found[0].components]
        [('seed', 5e-05), ('framework', 0.0), ('seed × framework', 0.0)]
    """
    found = []
    for group in Runs.split(runs, backends):
        for point in group.points:
            place = Place(group.model, group.data, point)
            for arm in (ALIGNED, NATIVE) if group.has_native else (ALIGNED,):
                for measure in MEASURES:
                    one = _variance(group, place, point, arm, measure)
                    if one is not None:
                        found.append(one)
    return found


def components(table: Array, factors: Sequence[str]) -> dict[Term, float]:
    """Estimate the variance components of a balanced table by moments.

    Args:
        table: [levels of the first factor, of the second, ..., repeats].
        factors: The names of the factors; all are random and crossed.

    Returns:
        Term -> its component, which may be negative; the empty term is that of the repeats, and
        there only if there are several.

    Example:
        >>> found = components(np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), ("a", "b"))
        >>> found[("a",)], found[("b",)]
        (2.0, 0.5)
    """
    found = _components(np.asarray(table, np.float64)[None], factors)
    return {term: float(estimates[0]) for term, estimates in found.items()}


def _components(tables: Array, factors: Sequence[str]) -> dict[Term, Array]:
    """Do so for many tables at once: [tables, levels, ..., repeats]."""
    squares = _mean_squares(tables, factors)
    found: dict[Term, Array] = {}
    for term, square in squares.items():
        if not term:
            found[term] = square
            continue
        above = [t for t in squares if set(term) <= set(t)]
        signed = sum((-1) ** (len(t) - len(term)) * squares[t] for t in above)
        # The noise is in all mean squares; it cancels in all terms but that of all factors.
        noise = squares.get((), 0.0) if len(term) == len(factors) else 0.0
        found[term] = (signed - noise) / _values(tables[0], term, factors)
    return found


def _values(table: Array, term: Term, factors: Sequence[str]) -> int:
    """Return how many values each level of a term has: how often its component is in its mean
    square.
    """
    return table.size // int(np.prod([table.shape[factors.index(f)] for f in term]))


def _mean_squares(tables: Array, factors: Sequence[str]) -> dict[Term, Array]:
    """Return the mean squares of all terms of many tables, and that within repeats, if any."""
    shape, repeats = tables.shape[1:-1], tables.shape[-1]
    terms = chain.from_iterable(combinations(factors, n + 1) for n in range(len(factors)))
    averages = tables.mean(axis=-1)
    found: dict[Term, Array] = {
        term: repeats * _mean_square(averages, [factors.index(f) for f in term]) for term in terms
    }
    if repeats > 1:
        within = ((tables - averages[..., None]) ** 2).sum(axis=tuple(range(1, tables.ndim)))
        found[()] = within / (np.prod(shape) * (repeats - 1))
    return found


def _mean_square(averages: Array, kept: Sequence[int]) -> Array:
    """Return the mean square of a main effect or an interaction, of each table."""
    shape = averages.shape[1:]
    means = averages.mean(axis=tuple(1 + a for a in range(len(shape)) if a not in kept))
    for axis in range(1, means.ndim):  # of an interaction, without what is in its factors
        means = means - means.mean(axis=axis, keepdims=True)
    freedom = np.prod([shape[axis] - 1 for axis in kept])
    scale = np.prod(shape) / np.prod([shape[axis] for axis in kept])
    squares: Array = (means**2).sum(axis=tuple(range(1, means.ndim))) * (scale / freedom)
    return squares


def _variance(
    group: Runs, place: Place, point: Mapping[str, Any], arm: str, measure: str
) -> Variance | None:
    cells = {b: _learned(group, b, arm, point) for b in group.backends}
    cells = {b: of for b, of in cells.items() if of}
    if not cells:
        return None
    shared = [s for s in next(iter(cells.values())) if all(s in of for of in cells.values())]
    block = _block(shared)
    crossed = block is not None
    levels: list[list[Any]] = [*block] if block else [independent(shared)]
    names = [WEIGHTS, ORDER] if crossed else [SEED]
    if any(len(each) < 2 for each in levels):
        return None
    backends = list(cells)
    if len(backends) > 1:
        levels, names = [*levels, backends], [*names, FRAMEWORK]
    repeats = min(len(r) for of in cells.values() for s, r in of.items() if s in shared)

    def runs(cell: Sequence[Any]) -> list[Trained]:
        seeds = (cell[0], cell[1]) if crossed else cell[0]
        found: list[Trained] = cells[cell[-1] if len(backends) > 1 else backends[0]][seeds]
        return found[:repeats]

    flat = [[getattr(run, measure) for run in runs(cell)] for cell in product(*levels)]
    table = np.array(flat, np.float64).reshape(*map(len, levels), repeats)
    parts, total = _summary(table, names)
    return Variance(place, arm, measure, crossed, parts, table.size, total)


def _learned(
    group: Runs, backend: str, arm: str, point: Mapping[str, Any]
) -> dict[Seeds, list[Trained]]:
    """Return the runs of an arm; if some are repeats without deterministic kernels, those."""
    levels = group.arm(arm, backend, point)
    kinds = [group.find(backend, levels, point, kind) for kind in (False, True)]
    found = max(kinds, key=lambda of: max((len(r) for r in of.values()), default=0))
    if max((len(r) for r in found.values()), default=0) < 2:
        found = group.find(backend, levels, point)
    return {s: r for s, r in found.items() if all(status(run) == "learned" for run in r)}


def _block(seeds: Sequence[Seeds]) -> tuple[list[int], list[int]] | None:
    """Return the seeds of weights and of orders of which all combinations are there."""
    known = set(seeds)
    partners = {w: {o for v, o in known if v == w} for w in {w for w, _ in known}}
    best: tuple[list[int], list[int]] | None = None
    for orders in partners.values():  # the orders of one, and all weights that have these
        weights = [w for w, of in partners.items() if orders <= of]
        if len(weights) > 1 and len(orders) > 1 and (
            best is None or len(weights) * len(orders) > len(best[0]) * len(best[1])
        ):  # fmt: skip
            best = sorted(weights), sorted(orders)
    return best


def _summary(table: Array, names: Sequence[str]) -> tuple[tuple[Component, ...], float]:
    found = components(table, names)
    total = sum(max(v, 0.0) for v in found.values())
    intervals = _intervals(table, names, found)
    listed = []
    for term, estimate in found.items():
        low, high = intervals.get(term, (None, None))
        listed.append(
            Component(
                " × ".join(term) or KERNELS,
                max(estimate, 0.0),
                low,
                high,
                max(estimate, 0.0) / total if total else 0.0,
                estimate < -1e-9 * total,
                int(np.prod([table.shape[names.index(f)] for f in term])) if term else table.size,
            )
        )
    return tuple(listed), total


def _intervals(
    table: Array, names: Sequence[str], found: Mapping[Term, float]
) -> dict[Term, tuple[float, float]]:
    """Return where the components may be.

    The mean square of seeds is distributed as chi-squared, as far as values are normal: of a few,
    it comes out far too small more often than far too large. The other parts of a mean square are
    taken to be known.
    """
    if any(
        n < LEAST_SEEDS for n, name in zip(table.shape, names, strict=False) if name != FRAMEWORK
    ):
        return {}
    tail = (1 - CONFIDENCE) / 2
    intervals = {}
    for term, squares in _mean_squares(table[None], names).items():
        square = float(squares[0])
        if term == (FRAMEWORK,):
            ends = _of_frameworks(table, names)
        else:
            sizes = [table.shape[names.index(f)] - 1 for f in term]
            freedom = np.prod(sizes) if term else table.size - table.size // table.shape[-1]
            ends = [square * freedom / chdtri(freedom, p) for p in (tail, 1 - tail)]
        count = _values(table, term, names) if term else 1
        low, high = (max(float(found[term] + (end - square) / count), 0.0) for end in ends)
        intervals[term] = low, high
    return intervals


def _of_frameworks(table: Array, names: Sequence[str]) -> list[float]:
    """Return where the mean square of these frameworks may be: draw seeds, but not frameworks."""
    random = np.random.default_rng(0)
    drawn = np.broadcast_to(table, (DRAWS, *table.shape))
    for axis, name in enumerate(names):
        if name == FRAMEWORK:
            continue
        count = table.shape[axis]
        shape = [DRAWS, *(1,) * table.ndim]
        shape[1 + axis] = count
        places = random.integers(count, size=(DRAWS, count)).reshape(shape)
        drawn = np.take_along_axis(drawn, places, axis=1 + axis)
    averages, kept = drawn.mean(axis=-1), [names.index(FRAMEWORK)]
    squares = table.shape[-1] * _mean_square(averages, kept)
    tail = 100 * (1 - CONFIDENCE) / 2
    own = float(_mean_squares(table[None], names)[FRAMEWORK,][0])
    ends: list[float] = (own + np.percentile(squares, [tail, 100 - tail]) - squares.mean()).tolist()
    return ends
