"""Where many models are verified: here, in several processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from zoo import jobs
from zoo.errors import InputError
from zoo.jobs.machine import processors
from zoo.verification.folder import packages
from zoo.verification.one_model import Task, needed
from zoo.verification.verify import requested

#: How libraries learn how many threads they may have.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@contextmanager
def executor(
    count: int | None, scheduler: str | None, settings: Mapping[str, Any]
) -> Iterator[Executor | None]:
    """Yield what :func:`zoo.verification.all_models.verify_all` gives its models to.

    Args:
        count: How many models are verified at the same time on this machine; None for one.
        scheduler: The address of a scheduler of Dask instead.
        settings: ``backends``, ``dtype`` and ``level``, as for :func:`zoo.verify`.

    Yields:
        The executor; None to verify one model after another in this process.

    Raises:
        InputError: Both are given.
        BackendError: See :func:`zoo.jobs.at`.
    """
    if count is not None and scheduler is not None:
        raise InputError("--jobs is for this machine, and --scheduler for others: give one of them")
    chosen = requested(settings["backends"], settings["dtype"], settings["level"])
    if scheduler is not None:
        with jobs.at(scheduler, packages=packages(chosen), fresh=False) as cluster:
            yield cluster
    elif count is not None and count > 1:
        threads = str(max(processors() // count, 1))

        def memory(task: Task) -> int:
            return needed(task, len(chosen))

        with jobs.local(
            count, memory=memory, environment=dict.fromkeys(_THREADS, threads), fresh=False
        ) as pool:
            yield pool
    else:
        yield None
