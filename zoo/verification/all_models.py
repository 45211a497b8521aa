"""Verifies many models, keeps the reports, and resumes after an interruption."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any

from zoo import arguments, jobs
from zoo.errors import InputError
from zoo.jobs.machine import processors
from zoo.language import shipped
from zoo.verification import cost
from zoo.verification.context import Progress
from zoo.verification.folder import Folder, stated
from zoo.verification.one_model import Task, job, not_run, verified
from zoo.verification.rendering import page
from zoo.verification.report import Report
from zoo.verification.verify import requested
from zoo.verification.workers import Workers

_Found = tuple[str, Report, float]


def verify_all(
    models: Sequence[str],
    folder: str | Path | None = None,
    *,
    backends: str | Sequence[str] | None = None,
    dtype: str = "float32",
    level: str = "forward",
    seed: int = 0,
    shard: tuple[int, int] | None = None,
    executor: Executor | None = None,
    command: str = "zoo verify --all",
    progress: Progress = lambda message: None,
) -> Iterator[tuple[Report, bool]]:
    """Verify many models, each as :func:`zoo.verify` does, with auxiliary heads where it has any.

    One process per backend verifies one model after another. Each report is written to the folder
    as soon as it is ready. A later run in the same folder resumes: models that passed are not
    verified again, unless something that could affect the result has changed. A model that cannot
    be verified, for example because it needs more memory than is available, gets a failing report
    with the reason. A report that cannot be written, because the disk is full, is written with the
    next one.

    Args:
        models: Names of models that zoo ships.
        folder: Folder for ``MODEL.json``, ``MODEL.html`` and ``index.html``; created if needed.
            Nothing is written if not given. Its reports must have the same settings.
        backends: As for :func:`zoo.verify`.
        dtype: As for :func:`zoo.verify`.
        level: As for :func:`zoo.verify`.
        seed: Random seed for the weights.
        shard: The number of a part, from 1 on, and how many there are: only the models of this
            part are verified. The parts take about the same time.
        executor: Where the models are verified; in this process, one after another, if not given.
        command: The command line to show in the index page.
        progress: Called with a message before each part of the work, with the time that is left.

    Yields:
        Each report as soon as it is ready, and whether it comes from an earlier run.

    Raises:
        InputError: The folder cannot be created, has reports with other settings, or a report could
            not be written in the end.
        UnknownNameError: There is no such backend, dtype or level.
        BackendError: A package that the HTML pages need is not installed, or the executor is gone.
    """
    if backends is not None:
        backends = arguments.texts("backends", backends, "None, the name of a backend or several")
    chosen = requested(backends, dtype, level)
    settings: dict[str, Any] = {"backends": backends, "dtype": dtype, "level": level, "seed": seed}
    costs = cost.costs(models, level, len(chosen))
    names = list(models if shard is None else cost.shard(costs, shard))
    if folder is not None:
        page.check()
    target = None if folder is None else Folder(Path(folder), stated(settings, chosen))
    lanes = getattr(executor, "capacity", 1)
    clock = cost.Clock({name: costs[name] for name in names}, lanes)
    every = [*shipped.shipped()]
    waiting = []
    for name in names:
        found = target.finished(name) if target else None
        if found is None:
            waiting.append(name)
            continue
        clock.measured(name, found.seconds)
        yield found.report, True
    if target:
        target.write_index(every, command)
    _announce(len(waiting), shard, clock, lanes, progress)
    if executor is not None:  # what takes longest must not come last
        waiting.sort(key=lambda name: -costs[name])
    tasks = [Task(name, settings, _share(executor, lanes)) for name in waiting]
    work = _here(tasks, clock, progress) if executor is None else _jobs(tasks, executor)
    with closing(work):
        for number, (model, report, seconds) in enumerate(work, 1):
            clock.measured(model, seconds)
            if target and (problem := target.keep(report, seconds)):
                progress(f"{problem}; it is written again with the next report")
            yield report, False
            if target and not problem:
                _try_index(target, every, command)
            if executor is not None and number < len(tasks):
                progress(f"{number} of {len(tasks)} models verified, {clock} left")
    if target:
        target.flush()
        target.write_index(every, command)


def _announce(
    count: int, shard: tuple[int, int] | None, clock: cost.Clock, lanes: int, progress: Progress
) -> None:
    if not count:
        return
    part = f" of shard {shard[0]} of {shard[1]}" if shard else ""
    many = f", {lanes} at the same time" if lanes > 1 else ""
    noun = "model" if count == 1 else "models"
    progress(f"{count} {noun}{part} to verify{many}: about {clock}")


def _here(
    tasks: Sequence[Task], clock: cost.Clock, progress: Progress
) -> Generator[_Found, None, None]:
    with Workers(keep=True) as workers:
        for number, task in enumerate(tasks, 1):
            left = f", {clock} left" if len(tasks) > 1 else ""
            prefix = f"{task.model} ({number} of {len(tasks)}{left}): "
            yield task.model, *verified(task, workers, _prefixed(prefix, progress))


def _jobs(tasks: Sequence[Task], executor: Executor) -> Generator[_Found, None, None]:
    with closing(jobs.run(job, tasks, executor)) as results:
        for index, result in results:
            task = tasks[index]
            if isinstance(result, jobs.JobDiedError):
                yield task.model, not_run(task.model, task.settings, str(result)), 0.0
            elif isinstance(result, Exception):
                raise result
            else:
                yield task.model, *result


def _prefixed(prefix: str, progress: Progress) -> Progress:
    return lambda message: progress(prefix + message)


def _share(executor: Executor | None, lanes: int) -> int | None:
    """Return how many processors each of several models has on this machine."""
    if executor is None or getattr(executor, "is_remote", False):
        return None
    return max(processors() // lanes, 1)


def _try_index(target: Folder, models: Sequence[str], command: str) -> None:
    """Write the index, which is written again after the next model in any case."""
    try:
        target.write_index(models, command)
    except InputError:
        return
