"""Runs a benchmark: references first, then rounds of all cells, each in random order."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from zoo.backend import registry
from zoo.benchmarking import processes, statistics
from zoo.benchmarking.here import Here
from zoo.benchmarking.machines import Machines
from zoo.benchmarking.request import Done, Measure, Request, Series
from zoo.benchmarking.results import INTERRUPTED, UNFINISHED, Measured, Results, Round
from zoo.errors import ZooError
from zoo.jobs.cluster import Cluster

MOST_ROUNDS = 200
#: What ``settings`` say of all cells, beside what was chosen.
STATED = {
    "tf32": False,
    "deterministic": "not forced",
    "gc": "off while times are taken",
    "compile": "each mode with its default options, without caches of earlier processes",
    "train": "SGD with momentum; the batch comes from NumPy in the framework's layout; no dropout",
    "warmup": "until the median of 3 runs is at most 5 % below that of the 3 before",
}


class Place(Protocol):
    """Where a benchmark is measured: this machine, or those of a cluster."""

    @property
    def hosts(self) -> Mapping[str, Mapping[str, Any]]:
        """The machines of a cluster; see :class:`zoo.benchmarking.results.Results`."""

    def describe(self) -> dict[str, Any]:
        """Return what the machine is."""

    def prepared(self) -> AbstractContextManager[Any]:
        """Get ready, until the block ends."""

    def capacity(self) -> int:
        """Return how many series are measured at the same time."""

    def measure(self, planned: Sequence[Series]) -> Iterator[Done]:
        """Measure series, and yield each cell; fewer, if the time is over."""


def run(
    request: Request,
    *,
    cluster: Cluster | None = None,
    command: str = "",
    progress: Callable[[str], None] = lambda message: None,
    keep: Callable[[Results], None] = lambda results: None,
    measure: Measure | None = None,
) -> Results:
    """Measure all cells.

    Args:
        request: What to measure.
        cluster: What :func:`zoo.jobs.at` returned, whose machines measure; by default, this one.
        command: The equivalent command line.
        progress: Called with a message before each part of the work.
        keep: Called with what is there after each round. A ZooError of it becomes a note.
        measure: Measures a cell; by default, in a new process.

    Returns:
        The results; after Ctrl-C, or if a machine of a cluster failed, those of the rounds that had
        ended, and a note.

    Raises:
        InputError: Another benchmark runs on this machine, or a network needs more memory than is
            available.
        BackendError: The machines of a cluster cannot be used, or failed before any round ended.
    """
    begun, start = datetime.datetime.now(datetime.UTC), time.monotonic()
    deadline = math.inf if request.budget is None else start + request.budget
    place: Place
    if cluster is None:
        place = Here(request, progress=progress, deadline=deadline, measure=measure)
    else:
        place = Machines(cluster, request, progress=progress, deadline=deadline, measure=measure)
    run = _Run(request, place)
    packages = [
        p
        for name in dict.fromkeys(c.backend for c in request.cells)
        for p in registry.resolve(name).packages
    ]

    def results() -> Results:
        # Rounds of a cluster may end in another order.
        rounds = [tuple(sorted(each, key=lambda r: r.number)) for each in run.rounds]
        return Results(
            cells=tuple(map(Measured, request.cells, rounds)),
            missing={str(cell): reason for cell, reason in request.missing.items()},
            settings=_settings(request),
            versions=registry.versions(["polyzoo", *packages, "numpy"]),
            machine=place.describe(),
            hosts=dict(place.hosts),
            order=tuple(sorted(run.order, key=lambda each: each[0])),
            notes=tuple(run.notes),
            command=command,
            begun=begun.isoformat(timespec="seconds"),
            seconds=time.monotonic() - start,
        )

    def kept() -> None:
        try:
            keep(results())
        except ZooError as error:  # the measurement goes on; the caller writes again at the end
            note = f"not kept while measuring: {error}"
            run.notes += [note] if note not in run.notes else []

    try:
        with place.prepared():
            if measure is None:
                run.prove()
            run.measure(kept)
    except KeyboardInterrupt:
        run.notes.append(INTERRUPTED)
    except ZooError as error:
        if not run.order:
            raise
        run.notes.append(f"{UNFINISHED}{error}")
    return results()


class _Run:
    def __init__(self, request: Request, place: Place) -> None:
        self.request, self.place = request, place
        self.rounds: list[list[Round]] = [[] for _ in request.cells]
        self.order: list[tuple[int, int]] = []
        self.notes: list[str] = []

    def prove(self) -> None:
        """Hold the gradients of each cell to the reference in float64, as ``zoo verify`` does."""
        trained = [i for i, cell in enumerate(self.request.cells) if cell.work != "forward"]
        if not trained:
            return
        shares = min(self.place.capacity(), len(trained))
        planned = [Series(0, tuple(trained[share::shares])) for share in range(shares)]
        for done in self.place.measure(planned):
            self.rounds[done.index].append(done.round)

    def measure(self, kept: Callable[[], None]) -> None:
        """Measure rounds, as many at the same time as there are machines."""
        random = np.random.default_rng(self.request.seed % 2**64)
        least, number = min(self.request.rounds, MOST_ROUNDS), 0
        while number < MOST_ROUNDS and (waiting := self._waiting(number + 1)):
            most = least if number < least else MOST_ROUNDS
            last = min(number + self.place.capacity(), most)
            planned = [
                Series(each, tuple(random.permutation(waiting).tolist()))
                for each in range(number + 1, last + 1)
            ]
            left = {each.number: set(each.cells) for each in planned}
            for done in self.place.measure(planned):
                self.rounds[done.index].append(done.round)
                self.order.append((done.number, done.index))
                left[done.number].discard(done.index)
                if not left[done.number]:
                    kept()
            if unfinished := [each for each, cells in left.items() if cells]:
                self.notes.append(f"the budget was spent in round {unfinished[0]}")
                return
            number = last

    def _waiting(self, number: int) -> list[int]:
        """Return the cells of a round: all, or those that are not narrow, and their baselines."""
        sound = [i for i, rounds in enumerate(self.rounds) if not any(r.problems for r in rounds)]
        if number <= self.request.rounds:
            return sound
        if self.request.until is None:
            return []
        wide = [i for i in sound if not self._is_narrow(i)]
        groups = {self.request.cells[i].group for i in wide}
        return [i for i in sound if self.request.cells[i].group in groups]

    def _is_narrow(self, index: int) -> bool:
        times = {r.number: r.times for r in self.rounds[index] if r.times}
        return bool(times) and statistics.summarize(times).width <= (self.request.until or 0)


def _settings(request: Request) -> dict[str, Any]:
    return {
        **STATED,
        "threads": request.threads,
        "rounds": request.rounds,
        "until": request.until,
        "budget": request.budget,
        "seed": request.seed,
        "baseline": request.baseline,
        "limits": dict(vars(request.limits)),
        "environment": processes.environment(request.threads, "cpu"),
    }
