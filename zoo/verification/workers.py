"""Starts the processes in which backends work, and gives them jobs, one at a time."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
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

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    errors: IO[str]

    def tell(self, job: Mapping[str, Any]) -> dict[str, Any] | str:
        """Give it a job; returns its answer, or in words why there is none."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it died before it could read
            return self._end()
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        if not ready:
            self.stop()
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
            with suppress(OSError):  # what it was told and had not read
                stream.close()

    def _end(self) -> str:
        status = self.process.wait()
        if status < 0:
            killed = ", as the system does when memory runs out" if status == -9 else ""
            return f"the worker died of signal {-status}{killed}"
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"the worker ended with status {status}"


@dataclass
class Workers:
    """A process for each backend; a context manager that ends them all.

    Attributes:
        keep: Whether a process does one job after another, which saves importing its framework
            each time; otherwise each has one job, and the memory it took is that job's. One that
            holds more than a quarter of the machine's free memory after a job is ended all the
            same.
    """

    keep: bool = False
    _alive: dict[_Key, _Worker] = field(default_factory=dict)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in list(self._alive):
            self._alive.pop(key).stop()

    def work(
        self,
        folder: Path,
        entry: Description,
        asked: str,
        stage: str,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, Any] | str:
        """Have one job done.

        Args:
            folder: The job's; see the modules of :mod:`zoo.verification.stages`.
            entry: The backend.
            asked: What the caller called it: ``tensorflow`` says more than ``keras``.
            stage: The name of one of those modules.
            environment: What its process is started with, beside this process's own.

        Returns:
            What it found, or in words why it found nothing.
        """
        if not registry.is_installed(entry):
            return "not installed"
        key = (entry.name, tuple(sorted((environment or {}).items())))
        if key not in self._alive:
            self._alive[key] = _start(entry.name, environment or {})
        answer = self._alive[key].tell({"stage": stage, "folder": str(folder), "asked": asked})
        if isinstance(answer, str) or not self._may_stay(answer["memory_mib"]):
            self._alive.pop(key).stop()
        if isinstance(answer, str):
            return answer
        found: dict[str, Any] | str = answer.get("found") or answer.get("failed", "no result")
        return found

    def _may_stay(self, memory_mib: float) -> bool:
        return self.keep and memory_mib <= available() / 4 / 2**20


def _start(backend: str, environment: Mapping[str, str]) -> _Worker:
    # The worker finds zoo where this process found it, even when that is only a checkout.
    root = str(Path(__file__).resolve().parents[2])
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    search = os.pathsep.join([root, *map(os.path.abspath, given)])  # it works elsewhere
    errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (the worker closes it)
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo.verification.worker", backend],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": search},
        cwd=tempfile.gettempdir(),
    )
    return _Worker(process, errors)
