"""Measures cells on this machine: references first, then each cell in a new process."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from zoo.backend import registry
from zoo.benchmarking import machine, processes, reference
from zoo.benchmarking.alone import alone
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.request import Done, Measure, Request, Series
from zoo.benchmarking.results import Round
from zoo.errors import InputError
from zoo.files import scratch


class Here:
    """This machine, as a place where a benchmark is measured.

    Args:
        request: What to measure.
        progress: Called with a message before each part of the work.
        deadline: When no process is started any more, by the monotonic clock.
        patience: Seconds to wait for another benchmark on this machine to end.
        measure: Measures a cell; by default, in a new process.
    """

    def __init__(
        self,
        request: Request,
        *,
        progress: Callable[[str], None] = lambda message: None,
        deadline: float = math.inf,
        patience: float = 0.0,
        measure: Measure | None = None,
    ) -> None:
        self._request, self._progress, self._deadline = request, progress, deadline
        self._patience, self._given = patience, measure
        self._before = machine.state()
        self._folder = Path()

    @property
    def hosts(self) -> Mapping[str, Mapping[str, Any]]:
        """The machines of a cluster; see :class:`zoo.benchmarking.results.Results`."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what the machine is, and what it did before and after."""
        return {**machine.describe(), "before": self._before, "after": machine.state()}

    @contextmanager
    def prepared(self) -> Iterator[Self]:
        """Write what cells are held to, while no other benchmark runs on this machine.

        Raises:
            InputError: Another one runs, or a network has no reference or needs too much memory.
        """
        with ExitStack() as stack:
            if self._given is None:
                stack.enter_context(alone(self._patience))
            folder = scratch(tempfile.gettempdir(), "zoo-bench-", mode=0o700)
            self._folder = stack.enter_context(folder)
            if self._given is None:
                self._references()
            yield self

    def capacity(self) -> int:
        """Return how many series are measured at the same time."""
        return 1

    def measure(self, planned: Sequence[Series]) -> Iterator[Done]:
        """Measure series, and yield each cell; end before the next one at the deadline."""
        for series in planned:
            for place, index in enumerate(series.cells, 1):
                if time.monotonic() >= self._deadline:
                    return
                cell = self._request.cells[index]
                name = series.name.capitalize()
                self._progress(f"{name}, {place} of {len(series.cells)}: {cell}")
                yield Done(series.number, index, self._measured(cell, series.number))

    def _measured(self, cell: Cell, number: int) -> Round:
        request, folder = self._request, self._place(cell.model)
        if self._given is not None:
            return self._given(cell, folder, number)
        return processes.measure(
            cell if number else replace(cell, dtype="float64"),
            folder,
            number,
            threads=request.threads,
            seed=request.seed,
            limits=vars(request.limits) if number else None,
        )

    def _place(self, model: str) -> Path:
        return self._folder / str(list(self._request.graphs).index(model))

    def _references(self) -> None:
        request = self._request
        for graph in request.graphs.values():
            reference.check_memory(graph)
        for name, graph in request.graphs.items():
            cells = [cell for cell in request.cells if cell.model == name]
            if not cells:
                continue
            folder = self._place(name)
            folder.mkdir()
            self._progress(f"Computing the reference of {name}, with NumPy in float64")
            reference.write(folder, graph, dict.fromkeys(c.dtype for c in cells), request.seed)
            for batch in dict.fromkeys(c.batch for c in cells if c.work != "forward"):
                backend = _differentiating(request.cells)
                self._progress(f"Differentiating {name}, batch {batch}, with {backend} in float64")
                processes.write_gradients(folder, backend, batch, request.threads, request.seed)


def _differentiating(cells: Iterable[Cell]) -> str:
    """Choose the framework whose float64 gradients are the reference: the first installed."""
    for entry in registry.table().values():
        if entry.reaches("gradients") and registry.is_installed(entry):
            return entry.name
    names = ", ".join(dict.fromkeys(cell.backend for cell in cells))
    raise InputError(f"no framework that differentiates is installed, which {names} are held to")
