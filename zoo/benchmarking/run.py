"""Runs a benchmark: references first, then rounds of all cells, each in random order."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.benchmarking import machine, processes, reference, statistics
from zoo.benchmarking.alone import alone
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.harness import Limits
from zoo.benchmarking.results import INTERRUPTED, Measured, Results, Round
from zoo.errors import InputError, ZooError
from zoo.files import scratch
from zoo.graphs.graph import Graph

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

#: Measures a cell in a round; what tests put in place of a process.
Measure = Callable[[Cell, Path, int], Round]


@dataclass(frozen=True)
class Request:
    """What to measure, and for how long; each checked.

    Attributes:
        graphs: The networks by name.
        cells: What to measure.
        missing: See :class:`zoo.benchmarking.results.Results`.
        threads: For every framework.
        rounds: Processes of each cell, at least.
        until: Go on until the intervals are so narrow, relatively; None for ``rounds`` alone.
        budget: Seconds after which no process is started; None for any number.
        seed: Of weights and of the order.
        baseline: ``torch`` or ``torch:eager``; None for the first cell of each group.
        limits: How long each process runs its cell.
    """

    graphs: Mapping[str, Graph]
    cells: Sequence[Cell]
    missing: Mapping[Cell, str] = field(default_factory=dict)
    threads: int = 1
    rounds: int = 5
    until: float | None = None
    budget: float | None = None
    seed: int = 0
    baseline: str | None = None
    limits: Limits = field(default_factory=Limits)


def run(
    request: Request,
    *,
    command: str = "",
    progress: Callable[[str], None] = lambda message: None,
    keep: Callable[[Results], None] = lambda results: None,
    measure: Measure | None = None,
) -> Results:
    """Measure all cells.

    Args:
        request: What to measure.
        command: The equivalent command line.
        progress: Called with a message before each part of the work.
        keep: Called with what is there after each round. A ZooError of it becomes a note.
        measure: Measures a cell; by default, in a new process.

    Returns:
        The results; after Ctrl-C, those of the processes that had ended, and a note.

    Raises:
        InputError: Another benchmark runs on this machine.
    """
    begun, start = datetime.datetime.now(datetime.UTC), time.monotonic()
    run = _Run(request, progress, start)
    before = machine.state()
    packages = [
        p
        for name in dict.fromkeys(c.backend for c in request.cells)
        for p in registry.resolve(name).packages
    ]

    def results() -> Results:
        return Results(
            cells=tuple(map(Measured, request.cells, map(tuple, run.rounds))),
            missing={str(cell): reason for cell, reason in request.missing.items()},
            settings=_settings(request),
            versions=registry.versions(["polyzoo", *packages, "numpy"]),
            machine={**machine.describe(), "before": before, "after": machine.state()},
            order=tuple(run.order),
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
        with scratch(tempfile.gettempdir(), "zoo-bench-", mode=0o700) as folder:
            run.all(folder, measure, kept)
    except KeyboardInterrupt:
        run.notes.append(INTERRUPTED)
    return results()


class _Run:
    def __init__(self, request: Request, progress: Callable[[str], None], start: float) -> None:
        self.request, self.progress, self.start = request, progress, start
        self.rounds: list[list[Round]] = [[] for _ in request.cells]
        self.order: list[tuple[int, int]] = []
        self.notes: list[str] = []

    def all(self, folder: Path, measure: Measure | None, kept: Callable[[], None]) -> None:
        """Prepare, and measure round by round, while no other benchmark runs on this machine."""
        if measure is None:
            with alone():
                self._references(folder)
                self._prove(folder)
                self._rounds(folder, self._in_process, kept)
        else:
            self._rounds(folder, measure, kept)

    def _rounds(self, folder: Path, measure: Measure, kept: Callable[[], None]) -> None:
        random = np.random.default_rng(self.request.seed % 2**64)
        for number in range(1, MOST_ROUNDS + 1):
            waiting = self._waiting(number)
            if not waiting:
                return
            for place, index in enumerate(random.permutation(waiting).tolist(), 1):
                if self._spent():
                    self.notes.append(f"the budget was spent in round {number}")
                    return
                cell = self.request.cells[index]
                self.progress(f"Round {number}, {place} of {len(waiting)}: {cell}")
                self.rounds[index].append(measure(cell, self._folder(folder, cell), number))
                self.order.append((number, index))
            kept()

    def _prove(self, folder: Path) -> None:
        """Hold the gradients of each cell to the reference in float64, as ``zoo verify`` does."""
        trained = [i for i, cell in enumerate(self.request.cells) if cell.work != "forward"]
        for place, index in enumerate(trained, 1):
            if self._spent():
                return
            cell = self.request.cells[index]
            self.progress(f"Proof in float64, {place} of {len(trained)}: {cell}")
            done = processes.measure(
                replace(cell, dtype="float64"),
                self._folder(folder, cell),
                0,
                threads=self.request.threads,
                seed=self.request.seed,
                limits=None,
            )
            self.rounds[index].append(done)

    def _folder(self, folder: Path, cell: Cell) -> Path:
        return folder / str(list(self.request.graphs).index(cell.model))

    def _in_process(self, cell: Cell, folder: Path, number: int) -> Round:
        request = self.request
        return processes.measure(
            cell,
            folder,
            number,
            threads=request.threads,
            seed=request.seed,
            limits=vars(request.limits),
        )

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

    def _spent(self) -> bool:
        budget = self.request.budget
        return budget is not None and time.monotonic() - self.start >= budget

    def _references(self, folder: Path) -> None:
        request = self.request
        for number, (name, graph) in enumerate(request.graphs.items()):
            place = folder / str(number)
            place.mkdir()
            cells = [cell for cell in request.cells if cell.model == name]
            if not cells:
                continue
            self.progress(f"Computing the reference of {name}, with NumPy in float64")
            reference.write(place, graph, dict.fromkeys(c.dtype for c in cells), request.seed)
            for batch in dict.fromkeys(c.batch for c in cells if c.work != "forward"):
                backend = _differentiating(request.cells)
                self.progress(f"Differentiating {name}, batch {batch}, with {backend} in float64")
                processes.write_gradients(place, backend, batch, request.threads, request.seed)


def _differentiating(cells: Iterable[Cell]) -> str:
    """Choose the framework whose float64 gradients are the reference: the first installed."""
    for entry in registry.table().values():
        if entry.reaches("gradients") and registry.is_installed(entry):
            return entry.name
    names = ", ".join(dict.fromkeys(cell.backend for cell in cells))
    raise InputError(f"no framework that differentiates is installed, which {names} are held to")


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
