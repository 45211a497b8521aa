"""The runs of a study by what they are of, so that like is compared with like.

What a run is of is read from the values of its switches, not from the names of those that are
native: where a framework's own value is the aligned one, both are the same run, which is trained
once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scipy.special import bdtrc

from zoo.comparing.results import Trained
from zoo.errors import InputError

#: Weights seed and order seed.
Seeds = tuple[int, int]
Levels = frozenset[str]

MEASURES = ("top1", "loss")
ALIGNED, NATIVE = "aligned", "native"
#: How often a run that has learned nothing may be taken for one that has.
CHANCE_LEVEL = 0.01


@dataclass(frozen=True)
class Place:
    """Where runs are compared: a network, a dataset, and one point or all points of the grid.

    Attributes:
        model: The network.
        data: The dataset.
        grid: The point; None for the mean of all.
    """

    model: str
    data: str
    grid: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        parts = [self.model, self.data]
        return ", ".join(parts + [f"{k} {v}" for k, v in (self.grid or {}).items()])


def status(run: Trained) -> str:
    """Return ``stopped``, ``chance`` or ``learned``.

    A run is at chance level unless its top-1 is so far above the share of the largest class that
    guessing would reach it in fewer than 1% of runs, by the binomial distribution. Where the
    number of images is unknown, it is so if its top-1 is at most one in the number of classes.

    Example:
        >>> from zoo.comparing.results import Condition
        >>> condition = Condition("lenet5", "digits", {}, frozenset(), 0, 0)
        >>> [status(Trained(condition, "torch", {}, top1, 2.3, images=(100,) * 10))
        ...  for top1 in (0.104, 0.14, None)]
        ['chance', 'learned', 'stopped']
    """
    if run.top1 is None or run.loss is None or run.stopped != "finished":
        return "stopped"
    if not (math.isfinite(run.top1) and math.isfinite(run.loss)):
        return "stopped"
    total = sum(run.images)
    if total:
        right = round(run.top1 * total)
        guessed = bdtrc(right - 1, total, max(run.images) / total) if right else 1.0
        return "learned" if guessed < CHANCE_LEVEL else "chance"
    classes = sum(each is not None for each in run.classes)
    return "chance" if classes and run.top1 <= 1 / classes else "learned"


class Runs:
    """The runs of one network on one dataset.

    Attributes:
        model: The network.
        data: The dataset.
        backends: Those that have runs, in the order of the study.
        points: The points of the grid.
        switches: The switches, in the order of the study.
    """

    def __init__(
        self, runs: Sequence[Trained], backends: Sequence[str] = (), switches: Sequence[str] = ()
    ) -> None:
        self.model, self.data = runs[0].condition.model, runs[0].condition.data
        found = dict.fromkeys(run.backend for run in runs)
        self.backends = sorted(found, key=lambda b: _place(b, backends))
        named = dict.fromkeys(s for run in runs for s in (*run.values, *run.condition.native))
        self.switches = sorted(named, key=lambda s: _place(s, switches))
        points = {_text(run.condition.grid): run.condition.grid for run in runs}
        self.points: list[Mapping[str, Any]] = list(points.values())
        self._aligned = self._aligned_values(runs)
        self._native: dict[tuple[str, str], set[str]] = {}
        self._all_native: set[tuple[str, str]] = set()
        self._found: dict[tuple[str, str, Levels, bool], dict[Seeds, dict[int, Trained]]] = {}
        for run in runs:
            c, levels, point = run.condition, self.levels(run), _text(run.condition.grid)
            self._native.setdefault((run.backend, point), set()).update(levels)
            cell = self._found.setdefault((run.backend, point, levels, c.deterministic), {})
            cell.setdefault((c.weights_seed, c.order_seed), {}).setdefault(c.repeat, run)

    @classmethod
    def split(
        cls, runs: Iterable[Trained], backends: Sequence[str] = (), switches: Sequence[str] = ()
    ) -> list[Runs]:
        """Return the runs of each network and dataset.

        Args:
            runs: All of a study.
            backends: In the order in which they are to be compared.
            switches: In the order in which they are to be shown.
        """
        groups: dict[tuple[str, str], list[Trained]] = {}
        for run in runs:
            groups.setdefault((run.condition.model, run.condition.data), []).append(run)
        return [cls(group, backends, switches) for group in groups.values()]

    def levels(self, run: Trained) -> Levels:
        """Return the switches whose values differ from the aligned ones."""
        point, c = _text(run.condition.grid), run.condition
        different = set()
        for name in {*run.values, *c.native}:
            aligned = self._aligned.get((point, name), _MISSING)
            known = name in run.values and aligned is not _MISSING
            if (run.values[name] != aligned) if known else (name in c.native):
                different.add(name)
        return frozenset(different)

    def native(self, backend: str, point: Mapping[str, Any]) -> Levels:
        """Return the switches that can make a difference in a backend."""
        return frozenset(self._native.get((backend, _text(point)), ()))

    def arm(self, name: str, backend: str, point: Mapping[str, Any]) -> Levels:
        """Return the levels of the runs of an arm, ``aligned`` or ``native``."""
        return frozenset() if name == ALIGNED else self.native(backend, point)

    def arms(self, run: Trained) -> list[str]:
        """Return the arms of a run: none, one, or both where no switch makes a difference."""
        levels = self.levels(run)
        native = self.has_native and levels == self.native(run.backend, run.condition.grid)
        return [NATIVE] * native + [ALIGNED] * (not levels)

    def rows(self, backend: str, point: Mapping[str, Any]) -> list[Levels]:
        """Return the combinations of switches that a backend has runs of."""
        kinds = dict.fromkeys(
            levels for b, p, levels, _ in self._found if (b, p) == (backend, _text(point))
        )
        return sorted(kinds, key=lambda levels: (len(levels), sorted(levels)))

    def find(
        self,
        backend: str,
        levels: Levels,
        point: Mapping[str, Any],
        deterministic: bool | None = None,
    ) -> dict[Seeds, list[Trained]]:
        """Return runs by their seeds, those of each with its repeats.

        Args:
            backend: The framework.
            levels: The switches whose values differ from the aligned ones.
            point: Of the grid.
            deterministic: Whether they were; by default, those that were, if there are any.
        """
        if deterministic is None:
            deterministic = self.is_deterministic
        cell = self._found.get((backend, _text(point), levels, deterministic), {})
        return {seeds: [r for _, r in sorted(by.items())] for seeds, by in cell.items()}

    def unique(self) -> list[Trained]:
        """Return the runs, each once: of those that are the same, the first."""
        return [run for of in self._found.values() for by in of.values() for run in by.values()]

    @cached_property
    def is_deterministic(self) -> bool:
        """Whether any run was asked to be deterministic; then only those are compared."""
        return any(deterministic for *_, deterministic in self._found)

    @property
    def has_native(self) -> bool:
        """Whether any switch makes a difference in any run."""
        return any(self._native.values())

    def places(self) -> list[Place]:
        """Return all points together, if there are several, and then each."""
        each = [Place(self.model, self.data, point) for point in self.points]
        return [Place(self.model, self.data), *each] if len(each) > 1 else each

    def points_of(self, place: Place) -> list[Mapping[str, Any]]:
        """Return the points of a place."""
        return self.points if place.grid is None else [place.grid]

    def _aligned_values(self, runs: Sequence[Trained]) -> dict[tuple[str, str], Any]:
        found: dict[tuple[str, str], Any] = {}
        for run in runs:
            point = _text(run.condition.grid)
            for name, value in run.values.items():
                if name not in run.condition.native:
                    known = found.setdefault((point, name), value)
                    if known != value:
                        raise InputError(
                            f"the aligned runs of {self.model} differ in {name}: {known!r:.60} "
                            f"and {value!r:.60} with {run.backend}"
                        )
        return found


def value(runs: Sequence[Trained], measure: str, learned: bool = True) -> float | None:
    """Return the mean of a measure over the repeats of a run.

    Args:
        runs: The repeats.
        measure: ``top1`` or ``loss``.
        learned: Whether all must be above chance level.

    Returns:
        It; None if one of them has stopped, or is at chance level and must not be.
    """
    kinds = {status(run) for run in runs}
    if not runs or "stopped" in kinds or (learned and "chance" in kinds):
        return None
    return float(sum(getattr(run, measure) for run in runs)) / len(runs)


def independent(seeds: Iterable[Seeds]) -> list[Seeds]:
    """Return pairs of seeds of which none shares a seed with another.

    Runs that share their initial weights, or their order, resemble each other, so that of crossed
    seeds only so many runs are independent.

    Example:
        >>> independent([(0, 0), (0, 1), (1, 0), (1, 1)])
        [(0, 0), (1, 1)]
    """
    used: tuple[set[int], set[int]] = set(), set()
    chosen = []
    for weights, order in sorted(seeds, key=lambda s: (s[0] != s[1], s)):
        if weights not in used[0] and order not in used[1]:
            used[0].add(weights)
            used[1].add(order)
            chosen.append((weights, order))
    return chosen


_MISSING: Any = object()


def _text(point: Mapping[str, Any]) -> str:
    return json.dumps(dict(point), sort_keys=True, default=str)


def _place(name: str, known: Sequence[str]) -> int:
    return known.index(name) if name in known else len(known)
