"""Starts a process for each backend and sends it one job at a time."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from zoo.backend import registry
from zoo.backend.description import Description
from zoo.jobs.machine import processors
from zoo.verification.memory import available

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
    _running: dict[_Key, _Worker] = field(default_factory=dict)
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
            self._worker(entry, environment or {})

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
        key, worker = self._worker(entry, environment or {})
        job = {"stage": stage, "folder": str(folder), "requested": requested}
        answer = worker.request(job)
        if isinstance(answer, str) or not self._can_keep(answer["memory_mib"]):
            with self._lock:
                self._running.pop(key, None)
            worker.stop()
        if isinstance(answer, str):
            return answer
        result: dict[str, Any] | str = answer.get("result") or answer.get("failed", "no result")
        return result

    def close(self) -> None:
        """Kill all processes; no more can be started."""
        with self._lock:
            self._closed = True
            workers = list(self._running.values())
            self._running.clear()
        for worker in workers:
            worker.stop()

    def _worker(self, entry: Description, environment: Mapping[str, str]) -> tuple[_Key, _Worker]:
        key = (entry.name, tuple(sorted(environment.items())))
        with self._lock:
            if self._closed:
                raise RuntimeError("the workers are closed")
            if key not in self._running:
                self._running[key] = _start(entry.name, environment)
            return key, self._running[key]

    def _can_keep(self, memory_mib: float) -> bool:
        return self.keep and memory_mib <= available() / 4 / 2**20


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    errors: IO[str]

    def request(self, job: Mapping[str, Any]) -> dict[str, Any] | str:
        """Send a job; return the answer, or the reason why there is none."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it died before reading the job
            return self._exit_reason()
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        if not ready:
            self.process.kill()
            return f"no result within {TIMEOUT} s"
        line = self.process.stdout.readline()
        if not line:
            return self._exit_reason()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            assert stream
            with suppress(OSError):  # unread data may still be buffered
                stream.close()

    def _exit_reason(self) -> str:
        status = self.process.wait()
        if status < 0:
            hint = ", perhaps because memory ran out" if status == -9 else ""
            return f"the worker was killed by signal {-status}{hint}"
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"the worker ended with status {status}"


def _start(backend: str, environment: Mapping[str, str]) -> _Worker:
    # The worker must import the same zoo as this process, even from a checkout.
    root = str(Path(__file__).resolve().parents[2])
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    # Relative paths would not work: the worker has another working directory.
    python_path = os.pathsep.join([root, *map(os.path.abspath, paths)])
    errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (the worker closes it)
    # -P: files in the temporary folder must not shadow modules of a framework.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "zoo.verification.worker", backend],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": python_path},
        cwd=tempfile.gettempdir(),
    )
    return _Worker(process, errors)
