"""Runs jobs on this machine: each in a new process, several at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from zoo import arguments
from zoo.jobs.machine import available, processors
from zoo.jobs.process import Process, packed

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

#: Share of the available memory that jobs may need together.
SHARE = 0.8


def local(
    processes: int | None = None,
    *,
    memory: int | Callable[..., int] | None = None,
    environment: Mapping[str, str] | None = None,
    fresh: bool = True,
) -> Executor:
    """Make an executor of processes on this machine, to be used in a ``with`` statement.

    Each job runs in a new process, so that no job sees what another left behind, and a process that
    dies takes no other job with it. All of them end with the block, after an exception at once, and
    also when this process is killed.

    Args:
        processes: How many jobs run at the same time, at most; all processors if not given.
        memory: Bytes that a job needs, or a function of its arguments that returns them. A job
            waits until it fits into what is available, or until no other runs.
        environment: Environment variables of the processes, in addition to those of this one.
        fresh: Whether each job has a new process. Otherwise a process runs one job after another,
            which is for jobs that keep what they have loaded.

    Returns:
        The executor. A future raises a JobDiedError if the process of its job died.

    Raises:
        InputError: An argument is invalid.

    Example:
        >>> from operator import mul
        >>> with local(2) as executor:
        ...     executor.submit(mul, 6, 7).result()
        42
    """
    count = arguments.positive("processes", processes) or processors()
    if not callable(memory):
        memory = arguments.positive("memory", memory)
    variables = dict(environment or {})
    if not all(isinstance(item, str) for pair in variables.items() for item in pair):
        raise arguments.wrong("environment", "names and values as strings", environment)
    return Processes(count, memory, variables, arguments.flag("fresh", fresh))


class Processes(Executor):
    """An executor that runs each job in a process; see :func:`local`.

    Attributes:
        capacity: How many jobs run at the same time, at most.
        is_remote: Whether the jobs may run on other machines.
    """

    is_remote = False

    def __init__(
        self,
        processes: int,
        memory: int | Callable[..., int] | None,
        environment: Mapping[str, str],
        fresh: bool,
    ) -> None:
        self.capacity = processes
        self._memory, self._environment, self._fresh = memory, environment, fresh
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="zoo-jobs")
        self._changed = threading.Condition()
        self._reserved: dict[object, int] = {}
        self._running: dict[Future[Any], Process] = {}
        self._idle: list[Process] = []
        self._unwanted: set[Future[Any]] = set()
        self._closed = False
        self._total = available()

    def submit(
        self,
        fn: Callable[Parameters, Result],
        /,
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Future[Result]:
        """Run a function of a module in another process."""
        job = packed(fn, args, kwargs)
        need = self._memory(*args, **kwargs) if callable(self._memory) else self._memory or 0
        future: Future[Result] = Future()
        self._threads.submit(self._work, future, job, need)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs, and wait for those that there are, unless told otherwise."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._end()

    def stop(self, futures: set[Future[Any]] | None = None) -> None:
        """End jobs at once: those that run are killed, and those that wait never start.

        Args:
            futures: The jobs; all if not given.
        """
        with self._changed:
            self._closed = self._closed or futures is None
            self._unwanted |= {f for f in futures or () if not f.done()}
            running = [p for f, p in self._running.items() if futures is None or f in futures]
            self._changed.notify_all()
        for future in futures or ():
            future.cancel()
        if futures is None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        threads = [threading.Thread(target=process.stop) for process in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.stop()
        self.shutdown(wait=True)

    def _work(self, future: Future[Any], job: bytes, need: int) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._is_unwanted(future) or self._fits(need))
                if self._is_unwanted(future):
                    raise CancelledError
                self._reserved[future] = need
                process = self._idle.pop() if self._idle else Process(self._environment)
                self._running[future] = process
            try:
                result = process.call(job)
            except BaseException:  # its place is free again, whatever ended it
                self._release(future, process, keep=False)
                raise
            self._release(future, process, keep=not self._fresh)
        except BaseException as error:  # raised again where the result is asked for
            future.set_exception(CancelledError() if self._is_unwanted(future) else error)
            self._unwanted.discard(future)
        else:
            future.set_result(result)

    def _is_unwanted(self, future: Future[Any]) -> bool:
        return self._closed or future in self._unwanted

    def _fits(self, need: int) -> bool:
        """Whether a job fits beside those that run. The reserved may not all be in use yet."""
        if not need or not self._reserved:
            return True
        return need + sum(self._reserved.values()) <= SHARE * self._total

    def _release(self, future: Future[Any], process: Process, keep: bool) -> None:
        if not keep:
            process.stop()
        with self._changed:
            self._reserved.pop(future, None)
            self._running.pop(future, None)
            if keep and not self._closed:
                self._idle.append(process)
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.stop()
