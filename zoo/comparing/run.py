"""Runs a study: proves that aligned runs are the same, and then trains what is not there yet."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zoo import jobs
from zoo.benchmarking import machine
from zoo.comparing import plan, processes
from zoo.comparing.estimate import Estimate
from zoo.comparing.plan import Comparison, Planned
from zoo.comparing.proof import prove
from zoo.comparing.results import Proof, Trained
from zoo.comparing.store import Folder
from zoo.comparing.study import StudyFile
from zoo.files import scratch

_TRAINED = TypeAdapter(Trained)


@dataclass(frozen=True)
class Started:
    """The runs are planned, and what is not proven yet is about to be.

    Attributes:
        total: How many different ones there are.
        done: How many of them have ended before.
        side_by_side: How many there are at the same time.
        seconds: About how long the others will take.
    """

    total: int
    done: int
    side_by_side: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """A run has ended.

    Attributes:
        run: What it is of.
        result: Its result.
        done: How many have ended.
        total: How many there are.
        seconds: About how long the others will take.
    """

    run: Planned
    result: Trained
    done: int
    total: int
    seconds: float


@dataclass(frozen=True)
class Done:
    """A study whose runs have all ended.

    Attributes:
        study: What was asked.
        runs: A run of each condition in each framework, in the order of the design. Conditions that
            are the same run in a framework share its result.
        proofs: That aligned runs are the same in float64.
        comparisons: What was planned.
        machine: What it ran on: this machine, or the address of a scheduler.
    """

    study: StudyFile
    runs: tuple[Trained, ...]
    proofs: tuple[Proof, ...]
    comparisons: tuple[Comparison, ...]
    machine: Mapping[str, Any]

    @property
    def failed(self) -> list[Trained]:
        """The runs whose process failed; a later call tries them again."""
        return [run for run in self.runs if run.stopped.startswith(FAILED)]


#: What ``stopped`` begins with if a process failed. Such a run is not kept.
FAILED = "failed: "


def run(
    study: StudyFile,
    output: Path | None = None,
    *,
    executor: Executor | None = None,
    scheduler: str | None = None,
    progress: Callable[[Any], None] = lambda event: None,
) -> Done:
    """Run a study, or what is left of it.

    Args:
        study: What to do.
        output: Its folder; None to keep nothing.
        executor: Where the runs are trained; by default, in processes of this machine, as many as
            fit side by side.
        scheduler: The address of a scheduler of Dask, whose workers train instead.
        progress: Called with messages, and with :class:`Started` and :class:`Ended`.

    Returns:
        All runs.

    Raises:
        InputError: The study cannot be made, or a file cannot be read or written.
        TrainingError: Aligned runs are not the same in float64.
        BackendError: The scheduler or its workers cannot be used; see :func:`zoo.jobs.at`.
        KeyboardInterrupt: It was interrupted, by Ctrl-C or SIGTERM. Runs that had ended are kept.
    """
    with ExitStack() as stack:
        stack.enter_context(_interruptible())
        comparisons = plan.planned(study)
        if scheduler is not None:
            # Each job starts a process of its own, so that those that start them may stay.
            executor = stack.enter_context(
                jobs.at(scheduler, packages=plan.packages(study), fresh=False)
            )
        side_by_side = getattr(executor, "capacity", 0) or plan.capacity(comparisons, study)
        folder = None
        if output is not None:
            folder = stack.enter_context(Folder.opened(output, study))
        cache = stack.enter_context(scratch(tempfile.gettempdir(), "zoo-compare-", mode=0o700))
        if executor is None:
            processes.begin()
            # Each job starts a process of its own, with variables that its framework needs.
            executor = ThreadPoolExecutor(side_by_side, thread_name_prefix="zoo-compare")
            stack.callback(executor.shutdown, cancel_futures=True)
            stack.callback(processes.end_all)  # first, so that no thread is waited for
        runs = list(plan.unique(comparisons))
        kept = folder.runs(runs) if folder is not None else {}
        waiting = [run for run in runs if run.key not in kept]
        images = {c.case.recipe.data: c.images for c in comparisons}
        estimate = Estimate(comparisons, side_by_side, images)
        progress(Started(len(runs), len(kept), side_by_side, estimate.left(waiting)))
        proofs = prove(comparisons, study.proof_steps, executor, folder, progress, cache=str(cache))
        for ended in _train(waiting, executor, estimate, str(cache)):
            if folder is not None and not ended.result.stopped.startswith(FAILED):
                folder.keep(ended.run, ended.result)
            kept[ended.run.key] = ended.result
            progress(replace(ended, done=len(kept), total=len(runs)))
    found = tuple(
        replace(kept[run.key], condition=run.condition, backend=run.backend, values=run.values)
        for comparison in comparisons
        for run in comparison.runs
    )
    where = {"scheduler": scheduler} if scheduler is not None else machine.describe()
    return Done(study, found, tuple(proofs), tuple(comparisons), where)


def _train(
    waiting: list[Planned], executor: Executor, estimate: Estimate, cache: str
) -> Iterator[Ended]:
    left = {run.key: run for run in waiting}
    before = time.monotonic()
    told = [{**run.job, "cache": cache} for run in waiting]
    for number, result in jobs.run(processes.train_one, told, executor):
        planned = waiting[number]
        del left[planned.key]
        now = time.monotonic()
        estimate.ended(planned, (now - before) * estimate.side_by_side)
        before = now
        fields = (
            {"top1": None, "loss": None, "stopped": f"{FAILED}{result}"}
            if isinstance(result, Exception)
            else result
        )
        trained = _TRAINED.validate_python(
            {
                "condition": planned.condition,
                "backend": planned.backend,
                "values": planned.values,
                "versions": planned.job["versions"],
                **fields,
            }
        )
        yield Ended(planned, trained, 0, 0, estimate.left(left.values()))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
