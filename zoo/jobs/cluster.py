"""Hands jobs to a scheduler of Dask, whose workers may be on other machines."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from zoo import arguments
from zoo.errors import BackendError
from zoo.jobs.process import packed
from zoo.jobs.remote import describe, work
from zoo.jobs.versions import differences, versions

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:\d+")
#: Seconds without a scheduler, or without any worker, after which waiting has no prospect.
LOST, DESERTED = 30.0, 900.0


def at(
    scheduler: str,
    *,
    packages: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    fresh: bool = True,
    timeout: float = 10.0,
) -> Cluster:
    """Connect to a scheduler of Dask, to be used in a ``with`` statement.

    Each job runs in a new process that a worker starts, as :func:`zoo.jobs.local` does on this
    machine, so its result is the same. Every worker must have the same zoo, Python and packages as
    this process, which is checked now, and again with every job for workers that come later.

    Args:
        scheduler: Its address, such as ``tcp://127.0.0.1:8786``.
        packages: The distributions that jobs use.
        environment: Environment variables of the processes.
        fresh: Whether each job has a new process; see :func:`zoo.jobs.local`.
        timeout: Seconds to wait for the scheduler, and for its first worker.

    Returns:
        The executor. It has as many jobs running as the workers have threads.

    Raises:
        InputError: The address is not one.
        BackendError: Dask is not installed, nobody answers, there is no worker, or a worker has
            other versions.
    """
    if not _ADDRESS.fullmatch(arguments.text("scheduler", scheduler)):
        raise arguments.wrong("scheduler", "an address such as tcp://127.0.0.1:8786", scheduler)
    client = _connected(scheduler, arguments.number("timeout", timeout))
    try:
        expected = versions(packages)
        _check_workers(client, scheduler, expected, timeout)
        return Cluster(client, scheduler, expected, dict(environment or {}), fresh)
    except BaseException:  # an interrupt, too, must not leave the connection open
        client.close(timeout=2)
        raise


@dataclass(frozen=True)
class Worker:
    """A worker of Dask.

    Attributes:
        threads: How many jobs it runs at the same time.
        tasks: How many it runs, or is to run, now; of all who use the scheduler.
        answer: What it was asked for.
    """

    threads: int
    tasks: int
    answer: Any


class Cluster(Executor):
    """An executor of Dask that runs each job in a process; see :func:`at`.

    Attributes:
        is_remote: Whether the jobs may run on other machines.
    """

    is_remote = True

    def __init__(
        self,
        client: Any,
        scheduler: str,
        expected: Mapping[str, str],
        environment: Mapping[str, str],
        fresh: bool,
    ) -> None:
        self.client, self.scheduler = client, scheduler
        self._settings = (dict(expected), dict(environment), fresh)
        # A job that raised is not run again; Dask itself runs those again whose worker died.
        self._executor: Executor = client.get_executor(pure=False, retries=0)
        self._answered = self._staffed = time.monotonic()

    def submit(
        self,
        fn: Callable[Parameters, Result],
        /,
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Future[Result]:
        """Run a function of a module in a process of a worker."""
        return self._executor.submit(work, packed(fn, args, kwargs), *self._settings)

    @property
    def capacity(self) -> int:
        """How many jobs run at the same time: the threads of all workers."""
        return sum(self.client.nthreads().values())

    def workers(self, question: Callable[[], Any]) -> dict[str, Worker]:
        """Ask all workers something, which even a busy one answers at once.

        Args:
            question: A function of a module.

        Returns:
            Address -> worker, sorted; without those that are ending.

        Raises:
            BackendError: The scheduler does not answer, or no worker does.
        """
        try:
            threads, tasks = self.client.nthreads(), self.client.processing()
            answers = self.client.run(question, on_error="ignore")
        except (OSError, TimeoutError):
            raise BackendError(f"{self.scheduler}: the scheduler does not answer") from None
        if not answers:
            raise BackendError(f"{self.scheduler}: no worker answers")
        return {
            address: Worker(threads.get(address, 1), len(tasks.get(address, ())), answer)
            for address, answer in sorted(answers.items())
        }

    def check(self) -> None:
        """Check that waiting for jobs has any prospect.

        Raises:
            BackendError: The scheduler has not been there for a while, or has had no worker.
        """
        now = time.monotonic()
        if self.client.status == "running":
            self._answered = now
            if self.client.scheduler_info().get("workers"):
                self._staffed = now
        if now - self._answered > LOST:
            raise BackendError(f"{self.scheduler}: the scheduler does not answer any more")
        if now - self._staffed > DESERTED:
            raise BackendError(f"{self.scheduler}: the scheduler has no workers any more")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs, and leave the scheduler."""
        if self.client.status == "running":
            self._executor.shutdown(wait=wait and not cancel_futures)
        self.client.close(timeout=5)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.shutdown(wait=kind is None)


def _connected(scheduler: str, timeout: float) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise BackendError(
            "a scheduler needs Dask: python -m pip install 'polyzoo[dask]' "
            f"(could not import {error.name!r})"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it says is raised here
    try:
        return Client(scheduler, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise BackendError(
            f"{scheduler}: no scheduler of Dask answered within {timeout:g} s ({reason}); start "
            "one with 'dask scheduler', and give the address that it prints"
        ) from None


def _check_workers(
    client: Any, scheduler: str, expected: Mapping[str, str], timeout: float
) -> None:
    try:
        client.wait_for_workers(1, timeout=timeout)
    except TimeoutError:
        raise BackendError(
            f"{scheduler}: the scheduler has no workers; start some with 'dask worker {scheduler}'"
        ) from None
    answers = client.run(describe, list(expected), on_error="return")
    wrong = {
        worker: _complaint(there, expected)
        for worker, there in answers.items()
        if not isinstance(there, dict) or differences(expected, there)
    }
    if wrong:
        found = "; ".join(f"{worker} has {what}" for worker, what in sorted(wrong.items())[:3])
        found += f"; and so on, {len(wrong)} workers" * (len(wrong) > 3)
        raise BackendError(
            f"{found}; every worker needs the same zoo and the same packages as this machine"
        )


def _complaint(there: Any, expected: Mapping[str, str]) -> str:
    if isinstance(there, ModuleNotFoundError):
        return f"no module {there.name!r}"
    if not isinstance(there, dict):
        return f"another zoo ({type(there).__name__}: {there})"
    return ", ".join(differences(expected, there))
