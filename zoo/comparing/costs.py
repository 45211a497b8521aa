"""What deterministic kernels cost: the ratio of seconds, in runs that differ in nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log

from zoo.comparing.pairing import Place, Runs, Seeds
from zoo.comparing.results import Trained
from zoo.comparing.statistics import summarize


@dataclass(frozen=True)
class Cost:
    """How much longer deterministic runs of a backend take.

    Attributes:
        place: The network, the dataset, and the point of the grid.
        backend: The framework.
        seconds: The median of the deterministic runs.
        others: The median of the others.
        ratio: The geometric mean of the ratios, paired by seeds; above 1, determinism costs.
        low, high: Its 95% interval; None with fewer than three seeds.
        seeds: How many seeds have both.
    """

    place: Place
    backend: str
    seconds: float
    others: float
    ratio: float
    low: float | None
    high: float | None
    seeds: int


def costs(runs: Iterable[Trained], backends: Sequence[str] = ()) -> list[Cost]:
    """Compare the seconds of aligned runs with deterministic kernels to those of others.

    Args:
        runs: All of a study; what lacks one kind is left out.
        backends: In the order in which they are to be shown.

    Example:
        >>> from zoo.comparing.results import Condition
        >>> def run(seed, kind):
        ...     condition = Condition("lenet5", "digits", {}, frozenset(), seed, seed, 0, kind)
        ...     return Trained(condition, "torch", {}, 0.9, 1.0, seconds=3.0 if kind else 2.0)
        >>> round(costs(run(seed, kind) for seed in range(3) for kind in (True, False))[0].ratio, 9)
        1.5
    """
    found = []
    for group in Runs.split(runs, backends):
        for point in group.points:
            for backend in group.backends:
                first, second = (
                    _seconds(group.find(backend, frozenset(), point, kind))
                    for kind in (True, False)
                )
                shared = [seeds for seeds in first if seeds in second]
                if not shared:
                    continue
                figure = summarize([log(first[s] / second[s]) for s in shared])
                found.append(
                    Cost(
                        Place(group.model, group.data, point),
                        backend,
                        _median([first[s] for s in shared]),
                        _median([second[s] for s in shared]),
                        exp(figure.mean),
                        None if figure.low is None else exp(figure.low),
                        None if figure.high is None else exp(figure.high),
                        len(shared),
                    )
                )
    return found


def _seconds(runs: dict[Seeds, list[Trained]]) -> dict[Seeds, float]:
    """Return the seconds of each seed, those of repeats as their mean."""
    times = {s: [r.seconds for r in of if r.seconds] for s, of in runs.items()}
    return {s: sum(of) / len(of) for s, of in times.items() if of}


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
