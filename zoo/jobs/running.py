"""Gives jobs to an executor, and yields results as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from typing import Any, TypeVar

from zoo.errors import BackendError, quoted
from zoo.jobs.errors import JobDiedError

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Seconds after which an executor is asked whether it is still there.
PATIENCE = 2.0
#: How Dask reports that one worker after another died of a job.
_KILLED = "KilledWorker"


def run(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    executor: Executor,
    *,
    retries: int = 1,
) -> Generator[tuple[int, Result | Exception], None, None]:
    """Run a function for each job, and yield each result once, in the order of completion.

    A job whose process died is run again. A job that raised an exception is not, because it would
    raise it again. If the caller stops early, or is interrupted, the remaining jobs are ended.

    Args:
        function: A function of a module; it is called with one job.
        jobs: What it is called with; each must be something that can be sent to another process.
        executor: What :func:`zoo.jobs.local` or :func:`zoo.jobs.at` returned, or any other.
        retries: How many times a job is run again after its process died.

    Yields:
        The index of a job, and its result or the exception that it raised: a JobDiedError that
        names the job if its process died each time.

    Raises:
        BackendError: The executor itself is gone, for example because its scheduler ended.

    Example:
        >>> from math import sqrt
        >>> from zoo.jobs import local
        >>> with local(2) as executor:
        ...     sorted(run(sqrt, [4.0, 9.0], executor))
        [(0, 2.0), (1, 3.0)]
    """
    left = [retries] * len(jobs)
    running: dict[Future[Result], int] = {}
    check: Callable[[], None] = getattr(executor, "check", lambda: None)
    try:
        for index, job in enumerate(jobs):
            running[executor.submit(function, job)] = index
        while running:
            done, _ = wait(running, timeout=PATIENCE, return_when=FIRST_COMPLETED)
            if not done:
                check()
            for future in sorted(done, key=lambda each: running[each]):
                index = running.pop(future)
                result = _result(future)
                if not _died(result):
                    yield index, result
                elif left[index]:
                    left[index] -= 1
                    running[executor.submit(function, jobs[index])] = index
                else:
                    yield index, JobDiedError(f"job {index}, {_named(jobs[index])}: {result}")
    finally:
        _end(executor, set(running))


def _result(future: Future[Result]) -> Result | Exception:
    try:
        return future.result()
    except CancelledError:  # not by this function, so nothing else will come either
        raise BackendError("the executor was stopped while jobs were running") from None
    except Exception as error:  # a job may raise anything; the caller gets it
        return error


def _died(result: Any) -> bool:
    return isinstance(result, BrokenExecutor) or type(result).__name__ == _KILLED


def _named(job: Any) -> str:
    return quoted(job, 120)


def _end(executor: Executor, running: set[Future[Any]]) -> None:
    """End jobs that nobody waits for any more."""
    if not running:
        return
    stop: Callable[[set[Future[Any]]], None] | None = getattr(executor, "stop", None)
    if stop is not None:
        stop(running)
    for future in running:
        future.cancel()
