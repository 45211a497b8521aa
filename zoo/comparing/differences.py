"""How far apart two backends train, with the same seeds: aligned, and each as it is by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from scipy.stats import binomtest

from zoo.comparing.pairing import (
    ALIGNED,
    MEASURES,
    NATIVE,
    Place,
    Runs,
    Seeds,
    independent,
    status,
    value,
)
from zoo.comparing.results import Trained
from zoo.comparing.statistics import LEVEL, Figure, equivalence, holm, summarize


@dataclass(frozen=True)
class Tally:
    """What became of the runs of a backend in an arm; only those that learned are compared.

    Attributes:
        backend: The framework.
        runs: How many there are.
        stopped: How many have no result.
        chance: How many are at chance level.
    """

    backend: str
    runs: int
    stopped: int
    chance: int

    @property
    def failed(self) -> int:
        """How many are not compared."""
        return self.stopped + self.chance


@dataclass(frozen=True)
class Difference:
    """A backend less another, in one measure.

    Attributes:
        place: The network, the dataset, and the point of the grid.
        arm: ``aligned`` or ``native``.
        measure: ``top1``, a share from 0 to 1, or ``loss``.
        a, b: The backends; the difference is that of ``a`` less that of ``b``.
        figure: The difference, paired by seeds; None if no pair has learned.
        apart: The median of how far apart single pairs of runs are, without signs.
        margin: The difference that still counts as equivalent; None if none is stated.
        equivalence_p: p of TOST; None if it cannot be had.
        flip_holm, t_holm: p of the figure, adjusted for all pairs of backends of the table.
        classes: The difference of the top-1 of each class; only of ``top1``.
        class_holm: p of the t test of each class, adjusted for all classes.
        tallies: What became of the runs of ``a`` and of ``b``.
        failures_p: p of McNemar's exact test that both fail equally often; None if none does.
        left_out: Points of the grid that the mean leaves out, because most pairs failed there.
    """

    place: Place
    arm: str
    measure: str
    a: str
    b: str
    figure: Figure | None
    apart: float | None
    margin: float | None
    equivalence_p: float | None
    flip_holm: float | None
    t_holm: float | None
    classes: tuple[Figure | None, ...]
    class_holm: tuple[float | None, ...]
    tallies: tuple[Tally, Tally]
    failures_p: float | None
    left_out: int = 0

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 0, and so does the t test adjusted for all pairs."""
        return (
            self.figure is not None
            and self.figure.excludes_zero
            and self.t_holm is not None
            and self.t_holm < LEVEL
        )

    @property
    def equivalent(self) -> bool:
        """Whether TOST and the interval show the mean difference to be within the margin."""
        f = self.figure
        if f is None or f.low is None or f.high is None or self.margin is None:
            return False
        within = -self.margin < f.low and f.high < self.margin
        return within and self.equivalence_p is not None and self.equivalence_p < LEVEL


def differences(
    runs: Iterable[Trained],
    margins: Mapping[str, float] | None = None,
    backends: Sequence[str] = (),
) -> list[Difference]:
    """Compare each two backends, aligned and native, in top-1 and in loss.

    Args:
        runs: All of a study.
        margins: Measure -> the difference that still counts as equivalent.
        backends: In the order in which they are to be compared.

    Example:
        >>> from zoo.comparing.results import Condition
        >>> def run(backend, seed, top1):
        ...     condition = Condition("lenet5", "digits", {}, frozenset(), seed, seed)
        ...     return Trained(condition, backend, {}, top1, 1.0)
        >>> found = differences(
        ...     [run("torch", s, 0.9) for s in range(3)] + [run("keras", s, 0.8) for s in range(3)]
        ... )
        >>> found[0].measure, round(found[0].figure.mean, 3)
        ('top1', 0.1)
    """
    found = []
    for group in Runs.split(runs, backends):
        for place in group.places():
            for arm in (ALIGNED, NATIVE) if group.has_native else (ALIGNED,):
                for measure in MEASURES:
                    margin = (margins or {}).get(measure)
                    table = [
                        _difference(group, place, arm, measure, a, b, margin)
                        for a, b in combinations(group.backends, 2)
                    ]
                    found += _adjusted([each for each in table if each is not None])
    return found


def _difference(
    group: Runs, place: Place, arm: str, measure: str, a: str, b: str, margin: float | None
) -> Difference | None:
    points = group.points_of(place)
    pairs = [
        {seeds: (x[seeds], y[seeds]) for seeds in x if seeds in y}
        for point in points
        for x, y in [[group.find(n, group.arm(arm, n, point), point) for n in (a, b)]]
    ]
    if not any(pairs):
        return None
    shared = [seeds for seeds in pairs[0] if all(seeds in each for each in pairs)]
    chosen = independent(shared)
    usable = [[s for s in chosen if _usable(*of[s], measure)] for of in pairs]
    # A point at which most fail is left out, and of the others, a seed that fails at any.
    kept = [of for of, good in zip(pairs, usable, strict=True) if 2 * len(good) >= len(chosen)]
    chosen = [s for s in chosen if all(_usable(*of[s], measure) for of in kept)]
    each = [[_less(*of[seeds], measure) for of in kept] for seeds in chosen] if kept else []
    values = [sum(of) / len(of) for of in each]
    figure = summarize(values) if values else None
    single = sorted(abs(v) for of in each for v in of)
    both = [pair for of in pairs for pair in of.values()]
    classes = _classes(kept, chosen) if measure == "top1" and values else ()
    return Difference(
        place=place,
        arm=arm,
        measure=measure,
        a=a,
        b=b,
        figure=figure,
        apart=_median(single),
        margin=margin,
        equivalence_p=equivalence(values, margin) if margin is not None and values else None,
        flip_holm=None,
        t_holm=None,
        classes=classes,
        class_holm=tuple(holm([f.t_p if f else None for f in classes])),
        tallies=(_tally(a, [x for x, _ in both]), _tally(b, [y for _, y in both])),
        failures_p=_failures_p(both),
        left_out=len(points) - len(kept),
    )


def _adjusted(table: Sequence[Difference]) -> list[Difference]:
    """Adjust the p of all pairs of backends for each other."""
    flip = holm([each.figure.flip_p if each.figure else None for each in table])
    t = holm([each.figure.t_p if each.figure else None for each in table])
    return [replace(d, flip_holm=f, t_holm=p) for d, f, p in zip(table, flip, t, strict=True)]


def _usable(x: Sequence[Trained], y: Sequence[Trained], measure: str) -> bool:
    return value(x, measure) is not None and value(y, measure) is not None


def _less(x: Sequence[Trained], y: Sequence[Trained], measure: str) -> float:
    first, second = value(x, measure), value(y, measure)
    assert first is not None and second is not None, "only usable pairs come here"
    return first - second


def _classes(
    kept: Sequence[Mapping[Seeds, tuple[Sequence[Trained], Sequence[Trained]]]],
    seeds: Sequence[Seeds],
) -> tuple[Figure | None, ...]:
    counts = {len(run.classes) for of in kept for s in seeds for runs in of[s] for run in runs}
    if len(counts) != 1:
        return ()
    figures: list[Figure | None] = []
    for number in range(counts.pop()):
        values = []
        for s in seeds:
            found = [[_mean([r.classes[number] for r in runs]) for runs in of[s]] for of in kept]
            values.append(_mean([None if None in (x, y) else x - y for x, y in found]))  # type: ignore[operator]  # neither is None
        known = [v for v in values if v is not None]
        figures.append(summarize(known) if len(known) == len(values) else None)
    return tuple(figures)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if len(known) == len(values) and known else None


def _median(ordered: Sequence[float]) -> float | None:
    if not ordered:
        return None
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _tally(backend: str, cells: Sequence[Sequence[Trained]]) -> Tally:
    kinds = [status(run) for runs in cells for run in runs]
    return Tally(backend, len(kinds), kinds.count("stopped"), kinds.count("chance"))


def _failures_p(pairs: Sequence[tuple[Sequence[Trained], Sequence[Trained]]]) -> float | None:
    """Compare how often two backends fail where the other does not."""
    failed = [tuple(any(status(r) != "learned" for r in runs) for runs in pair) for pair in pairs]
    only_a, only_b = failed.count((True, False)), failed.count((False, True))
    if not any(any(each) for each in failed):
        return None
    if not only_a + only_b:
        return 1.0
    return float(binomtest(only_a, only_a + only_b).pvalue)
