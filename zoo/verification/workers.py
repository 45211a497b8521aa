"""Starts a process for each backend and sends it one job at a time."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from zoo.backend import registry
from zoo.backend.description import Description
from zoo.jobs.errors import JobDiedError, JobError
from zoo.jobs.machine import available, processors, resident
from zoo.jobs.process import Process, packed
from zoo.jobs.worker import plainly
from zoo.verification import worker
from zoo.verification.parallel import in_background

TIMEOUT = 1800  # seconds per job
FRAMEWORK = 2**30  # bytes to reserve for a process that has imported a framework

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class Workers:
    """One process per backend; a context manager that ends them all.

    Several threads may send jobs at the same time, to different backends.

    Attributes:
        keep: Whether a process is reused for further jobs, which saves importing its framework each
            time; otherwise it ends after one job. A process that uses more than a quarter of the
            free memory after a job is ended in any case.
        processors: How many jobs may run at the same time, at most; all processors if not given.
    """

    keep: bool = False
    processors: int | None = None
    _running: dict[_Key, Process] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def capacity(self, needed: int) -> int:
        """Return how many jobs may run at the same time.

        Args:
            needed: Bytes that one job needs, in addition to its framework.
        """
        limit = int(0.6 * available()) // (needed + FRAMEWORK)
        return max(1, min(self.processors or processors(), limit))

    def start(self, entry: Description, environment: Mapping[str, str] | None = None) -> None:
        """Start a backend's process, so that it imports its framework before the first job."""
        if registry.is_installed(entry):
            _, process = self._process(entry, environment or {})
            in_background(process.call, packed(worker.preload, (entry.name,)), TIMEOUT)

    def work(
        self,
        folder: Path,
        entry: Description,
        requested: str,
        stage: str,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, Any] | str:
        """Run one job.

        Args:
            folder: The job's folder; see the modules of :mod:`zoo.verification.stages`.
            entry: The backend.
            requested: The name by which it was requested; ``tensorflow`` is more specific than
                ``keras``.
            stage: The name of one of those modules.
            environment: Environment variables to set for the process.

        Returns:
            The stage's result, or the reason why there is none.
        """
        if not registry.is_installed(entry):
            return "not installed"
        key, process = self._process(entry, environment or {})
        job = packed(plainly, (worker.run, stage, folder, entry.name, requested))
        result: dict[str, Any] | str
        try:
            result = process.call(job, TIMEOUT)
        except JobError as error:
            result = str(error)
        except JobDiedError as error:
            self._end(key)
            return str(error)
        if not self.keep or resident(process.number) > available() / 4:
            self._end(key)
        return result

    def close(self) -> None:
        """Kill all processes; no more can be started."""
        with self._lock:
            self._closed = True
            processes = list(self._running.values())
            self._running.clear()
        for process in processes:
            process.kill()

    def _process(self, entry: Description, environment: Mapping[str, str]) -> tuple[_Key, Process]:
        key = (entry.name, tuple(sorted(environment.items())))
        with self._lock:
            if self._closed:
                raise RuntimeError("the workers are closed")
            if key not in self._running:
                quiet = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")}
                self._running[key] = Process(
                    {**quiet, **environment}, folder=tempfile.gettempdir(), name=entry.name
                )
            return key, self._running[key]

    def _end(self, key: _Key) -> None:
        with self._lock:
            process = self._running.pop(key, None)
        if process is not None:  # otherwise it is being ended
            process.kill()
