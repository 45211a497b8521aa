"""Runs independent jobs with an executor; a stand-in for the functions of ``zoo.jobs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def local(processes: int) -> Executor:
    """Return an executor on this machine, whose threads wait for a process of their own each."""
    return ThreadPoolExecutor(processes, thread_name_prefix="zoo-compare")


def run(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    executor: Executor,
    retries: int = 1,
) -> Iterator[tuple[int, Result | Exception]]:
    """Call a function for each job.

    Args:
        function: A function of a module.
        jobs: Its argument, which can be pickled.
        executor: Calls it.
        retries: How often a job is tried again if it raises.

    Yields:
        The number of a job and what came of it, each as soon as it has ended.
    """
    futures: dict[Future[Result], tuple[int, int]] = {
        executor.submit(function, job): (number, 0) for number, job in enumerate(jobs)
    }
    try:
        while futures:
            ended, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in ended:
                number, tries = futures.pop(future)
                error: Any = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                if error is not None and tries < retries:
                    futures[executor.submit(function, jobs[number])] = number, tries + 1
                    continue
                yield number, future.result() if error is None else error
    finally:
        for future in futures:
            future.cancel()
