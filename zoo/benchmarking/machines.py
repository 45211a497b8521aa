"""Measures on the machines of a cluster, each of which does nothing else meanwhile.

A job is a round: all cells once, in random order, on one machine. So both times of a ratio, which
is paired by round, are of the same machine. Each machine has one worker with one thread: Dask then
runs nothing else there during a round.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from zoo import jobs
from zoo.benchmarking import machine
from zoo.benchmarking.here import Here
from zoo.benchmarking.request import Done, Measure, Request, Series
from zoo.benchmarking.results import Round
from zoo.errors import BackendError, ZooError
from zoo.jobs.cluster import Cluster, Worker

#: What machines must have in common, because times depend on it.
SAME = ("processor", "processors", "cgroup_cpus", "governor", "gpus")
#: Seconds in which a round whose worker has died ends on its machine, before it starts again there.
PATIENCE = 60.0
_PAUSE = 1.0  # seconds before a busy cluster is asked again
_START = "dask worker {} --nworkers 1 --nthreads 1"


def common(cluster: Cluster) -> dict[str, Any]:
    """Check the machines of a cluster, and return what ``machine.describe`` says of all.

    Raises:
        BackendError: A worker has several threads, shares its machine with another, or has other
            tasks; or the machines differ in what times depend on.
    """
    workers = _checked(cluster)
    if busy := _busy(workers):
        raise BackendError(
            f"{busy}; a benchmark shares its machines with nothing else: wait until all other "
            "tasks have ended"
        )
    first, *others = (worker.answer.machine for worker in workers.values())
    return {k: v for k, v in first.items() if all(other[k] == v for other in others)}


class Machines:
    """The machines of a cluster, as a place where a benchmark is measured.

    Args:
        cluster: What :func:`zoo.jobs.at` returned.
        request: What to measure.
        progress: Called with a message before each part of the work.
        deadline: When no process is started any more, by the monotonic clock.
        measure: Measures a cell, a function of a module; by default, in a new process.

    Attributes:
        hosts: See :class:`zoo.benchmarking.results.Results`.
    """

    def __init__(
        self,
        cluster: Cluster,
        request: Request,
        *,
        progress: Callable[[str], None] = lambda message: None,
        deadline: float = math.inf,
        measure: Measure | None = None,
    ) -> None:
        self._cluster, self._request, self._progress = cluster, request, progress
        self._deadline, self._given = deadline, measure
        self._common = common(cluster)
        self.hosts: dict[str, Mapping[str, Any]] = {}

    def describe(self) -> dict[str, Any]:
        """Return the address of the scheduler, and what its machines have in common."""
        return {"scheduler": self._cluster.scheduler, **self._common}

    @contextmanager
    def prepared(self) -> Iterator[Self]:
        """Do nothing: each machine prepares itself, so that no large files are sent."""
        yield self

    def capacity(self) -> int:
        """Return how many machines there are, once other tasks have ended.

        Raises:
            BackendError: They cannot be used; see :func:`common`.
        """
        while True:
            workers = _checked(self._cluster)
            busy = _busy(workers)
            if not busy or time.monotonic() >= self._deadline:
                return len(workers)
            self._progress(f"Waiting for other tasks to end: {busy}")
            time.sleep(_PAUSE)

    def measure(self, planned: Sequence[Series]) -> Iterator[Done]:
        """Measure each series on one machine, and yield its cells when all of them have ended.

        A series whose worker died is measured again from its beginning, there or elsewhere.

        Raises:
            BackendError: A series failed, or the cluster is gone. The others were yielded before.
        """
        if time.monotonic() >= self._deadline:
            return
        self._progress(_told(planned))
        told = [
            Job(
                replace(self._request, missing={}),
                series,
                self._deadline - time.monotonic(),
                {name: self._common[name] for name in SAME},
                self._given,
            )
            for series in planned
        ]
        failed: BackendError | None = None
        with closing(jobs.run(measured, told, self._cluster)) as results:
            for place, answer in results:
                series = planned[place]
                if isinstance(answer, Exception):
                    error = answer if isinstance(answer, ZooError) else f"{answer!r:.300}"
                    failed = failed or BackendError(f"{series.name}: {error}")
                    continue
                before = self.hosts.get(answer.host, answer.machine)["before"]
                self.hosts[answer.host] = {**answer.machine, "before": before}
                for index, found in zip(series.cells, answer.rounds, strict=False):
                    yield Done(series.number, index, replace(found, host=answer.host))
        if failed is not None:
            raise failed


@dataclass(frozen=True, repr=False)
class Job:
    """What a machine is told.

    Attributes:
        request: The benchmark.
        series: What it measures of it.
        seconds: After these, it starts no process.
        machine: What it must be; see ``SAME``.
        measure: See :class:`Machines`.
    """

    request: Request
    series: Series
    seconds: float
    machine: Mapping[str, Any]
    measure: Measure | None

    def __repr__(self) -> str:
        return self.series.name


@dataclass(frozen=True)
class Answer:
    """What a machine found: its name, what it is and did, and rounds in the order of the series."""

    host: str
    machine: Mapping[str, Any]
    rounds: tuple[Round, ...]


def measured(job: Job) -> Answer:
    """Measure a series on this machine.

    Raises:
        BackendError: This machine is another one than stated, or cannot prepare itself.
    """
    own = machine.identify()
    if found := _differences(job.machine, own.machine):
        raise BackendError(f"{own.name} differs from the other machines: {found}; {_ALIKE}")
    here = Here(
        job.request,
        deadline=time.monotonic() + job.seconds,
        patience=PATIENCE,
        measure=job.measure,
    )
    try:
        with here.prepared():
            rounds = tuple(done.round for done in here.measure([job.series]))
    except ZooError as error:
        raise BackendError(f"{own.name}: {error}") from None
    return Answer(own.name, here.describe(), rounds)


_ALIKE = "times of machines that differ are not comparable"


def _checked(cluster: Cluster) -> dict[str, Worker]:
    """Return the workers, each alone on its machine, and all machines alike."""
    workers = cluster.workers(machine.identify)
    start = _START.format(cluster.scheduler)
    seen: dict[str, str] = {}
    first = next(iter(workers.values())).answer
    for address, worker in workers.items():
        own = worker.answer
        if worker.threads != 1:
            raise BackendError(
                f"{address} has {worker.threads} threads, so that other tasks could run beside a "
                f"measurement; start one worker with one thread on each machine: {start}"
            )
        if own.id in seen:
            raise BackendError(
                f"{seen[own.id]} and {address} are two workers on one machine, {own.name}, so that "
                "other tasks could run beside a measurement; start one worker with one thread on "
                f"each machine: {start}"
            )
        seen[own.id] = address
        if found := _differences(first.machine, own.machine):
            raise BackendError(f"{own.name} differs from {first.name}: {found}; {_ALIKE}")
    return workers


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {found[name]!r} instead of {expected[name]!r}"
        for name in SAME
        if found[name] != expected[name]
    )


def _busy(workers: Mapping[str, Worker]) -> str:
    return ", ".join(
        f"{address} has {worker.tasks} other task{'s' * (worker.tasks != 1)}"
        for address, worker in workers.items()
        if worker.tasks
    )


def _told(planned: Sequence[Series]) -> str:
    first, last = planned[0], planned[-1]
    count = len(planned)
    where = "one machine" if count == 1 else f"{count} machines"
    name = first.name.capitalize()
    if first.number != last.number:
        name = f"Rounds {first.number} to {last.number}"
    return f"{name}, on {where}: {sum(len(series.cells) for series in planned)} processes"
