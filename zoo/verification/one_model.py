"""One model of many as a job, which any process can do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import SpecError, ZooError
from zoo.language import graphs
from zoo.verification import memory, tolerances
from zoo.verification.context import Progress
from zoo.verification.report import Report
from zoo.verification.verify import verify
from zoo.verification.workers import FRAMEWORK, Workers

_kept: dict[int | None, Workers] = {}


@dataclass(frozen=True)
class Task:
    """What to verify.

    Attributes:
        model: The model's name.
        settings: ``backends``, ``dtype``, ``level`` and ``seed``, as for :func:`zoo.verify`.
        processors: How many backends may run at the same time; all processors if not given.
    """

    model: str
    settings: Mapping[str, Any]
    processors: int | None = None

    def __repr__(self) -> str:
        return f"the verification of {self.model}"


def job(task: Task) -> tuple[Report, float]:
    """Verify a model in this process, which keeps the frameworks' processes for the next one.

    Returns:
        The report, and how many seconds it took.
    """
    if task.processors not in _kept:
        _kept[task.processors] = Workers(keep=True, processors=task.processors)
    return verified(task, _kept[task.processors])


def verified(
    task: Task, workers: Workers, progress: Progress = lambda message: None
) -> tuple[Report, float]:
    """Verify a model; if that is not possible, make a failing report with the reason."""
    start = time.monotonic()
    try:
        report = verify(
            task.model,
            aux=has_heads(task.model),
            **task.settings,
            progress=progress,
            workers=workers,
        )
    except ZooError as error:  # such as a lack of memory; the next model may fit
        report = not_run(task.model, task.settings, str(error))
    return report, time.monotonic() - start


def not_run(model: str, settings: Mapping[str, Any], reason: str) -> Report:
    """Make a report without results that gives the reason."""
    try:
        graph = graphs.graph(model, aux=has_heads(model))
        options = dict(graph.options)
        parameters = {"aux" if options["aux"] else "plain": graph.num_parameters}
    except SpecError:
        options = {"aux": False, "input_size": (0, 0), "in_channels": 0, "num_classes": 0}
        parameters = {"plain": 0}
    dtype = settings["dtype"]
    return Report(
        model=model,
        options=options,
        dtype=dtype,
        level=settings["level"],
        tolerance=tolerances.FORWARD[dtype],
        seed=settings["seed"],
        image="",
        parameters=parameters,
        nodes=(),
        top5=(),
        results=(),
        pairs=(),
        not_run=reason,
    )


def needed(task: Task, backends: int) -> int:
    """Return how many bytes the processes of a job need together."""
    graph = graphs.graph(task.model, aux=has_heads(task.model))
    itemsize = 4 if task.settings["level"] == "forward" else 8
    each = memory.needed(graph, itemsize)
    return each + min(task.processors or backends, backends) * each + backends * FRAMEWORK


def has_heads(model: str) -> bool:
    """Whether a model has auxiliary heads."""
    try:
        return bool(graphs.graph(model).omitted)
    except SpecError:  # verify will raise it again
        return False
