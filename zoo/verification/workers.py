"""Starts the processes in which backends work, and gives each one job at a time."""

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
from zoo.verification.memory import available

TIMEOUT = 1800  # seconds that one job may take
FRAMEWORK = 2**30  # bytes to reserve for a process that has imported a framework

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class Workers:
    """A process for each backend; a context manager that ends them all.

    Different backends may be given jobs from different threads at the same time.

    Attributes:
        keep: Whether a process does one job after another, which saves importing its framework
            each time; otherwise it ends after one job. A process that holds more than a quarter of
            the free memory after a job is ended in any case.
    """

    keep: bool = False
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
            needed: Bytes that one job needs, beside its framework.
        """
        fitting = int(0.6 * available()) // (needed + FRAMEWORK)
        return max(1, min(_cores(), fitting))

    def start(self, entry: Description, environment: Mapping[str, str] | None = None) -> None:
        """Start a backend's process, which imports its framework before its first job comes."""
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
        """Have one job done.

        Args:
            folder: The job's folder; see the modules of :mod:`zoo.verification.stages`.
            entry: The backend.
            requested: What the caller called it: ``tensorflow`` says more than ``keras``.
            stage: The name of one of those modules.
            environment: Variables that its process is started with, beside this process's own.

        Returns:
            The stage's result, or in words why there is none.
        """
        if not registry.is_installed(entry):
            return "not installed"
        key, worker = self._worker(entry, environment or {})
        job = {"stage": stage, "folder": str(folder), "requested": requested}
        answer = worker.request(job)
        if isinstance(answer, str) or not self._may_stay(answer["memory_mib"]):
            with self._lock:
                self._running.pop(key, None)
            worker.stop()
        if isinstance(answer, str):
            return answer
        result: dict[str, Any] | str = answer.get("result") or answer.get("failed", "no result")
        return result

    def close(self) -> None:
        """End all processes, whatever they are doing, and start no more."""
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
                raise RuntimeError("these workers were closed")
            if key not in self._running:
                self._running[key] = _start(entry.name, environment)
            return key, self._running[key]

    def _may_stay(self, memory_mib: float) -> bool:
        return self.keep and memory_mib <= available() / 4 / 2**20


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    errors: IO[str]

    def request(self, job: Mapping[str, Any]) -> dict[str, Any] | str:
        """Give it a job; returns its answer, or in words why there is none."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it died before it could read
            return self._end()
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        if not ready:
            self.process.kill()
            return f"no result within {TIMEOUT} s"
        line = self.process.stdout.readline()
        if not line:
            return self._end()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            assert stream
            with suppress(OSError):  # what was sent to it and not read
                stream.close()

    def _end(self) -> str:
        status = self.process.wait()
        if status < 0:
            killed = ", as the system does when memory runs out" if status == -9 else ""
            return f"the worker died of signal {-status}{killed}"
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"the worker ended with status {status}"


def _start(backend: str, environment: Mapping[str, str]) -> _Worker:
    # The worker finds zoo where this process found it, even when that is only a checkout.
    root = str(Path(__file__).resolve().parents[2])
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    search = os.pathsep.join([root, *map(os.path.abspath, given)])  # its folder is another
    errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (the worker closes it)
    # -P: no module in the folder for temporary files may take the place of a framework's.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "zoo.verification.worker", backend],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": search},
        cwd=tempfile.gettempdir(),
    )
    return _Worker(process, errors)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
