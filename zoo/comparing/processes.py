"""Does each run in a new process, so that no run depends on those before it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

from zoo.backend import registry
from zoo.benchmarking import processes
from zoo.comparing import training
from zoo.errors import TrainingError
from zoo.files import scratch
from zoo.jobs.errors import JobError
from zoo.jobs.process import Process, packed
from zoo.jobs.worker import plainly
from zoo.verification.context import FLOAT64

#: The processes that run now, of all threads.
_running: set[Process] = set()
_lock = threading.Lock()
#: Set when a study has ended, and its threads must not start others.
_ended = threading.Event()


def train_one(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train in a new process.

    Args:
        job: See :attr:`zoo.comparing.plan.Planned.job`.

    Returns:
        What :func:`zoo.comparing.training.train` returns.

    Raises:
        TrainingError: The framework raised an error.
        JobDiedError: The process ended without an answer.
    """
    return _run(training.train, job, environment(job, job.get("cache")))


def prove_one(job: Mapping[str, Any]) -> dict[str, Any]:
    """Make the first steps in float64 in a new process.

    Args:
        job: As for :func:`zoo.comparing.training.prove`, without the folder.

    Returns:
        What that returns, and as ``files`` what it has written: the name and content of each.

    Raises:
        TrainingError: The framework raised an error.
        JobDiedError: The process ended without an answer.
    """
    variables = {**environment(job["jobs"][0], job.get("cache")), **FLOAT64}
    with scratch(tempfile.gettempdir(), "zoo-compare-proof-", mode=0o700) as folder:
        found = _run(training.prove, {**job, "folder": str(folder)}, variables)
        # Another machine, which may have asked for them, does not see this folder.
        return {**found, "files": {path.name: path.read_bytes() for path in folder.glob("*.npz")}}


def environment(job: Mapping[str, Any], cache: str | None = None) -> dict[str, str]:
    """Return the variables that a process is started with.

    Args:
        job: What it is told.
        cache: A folder in which runs of a study find what others have compiled, which is the same
            program.
    """
    threads = job["threads"]
    found = processes.environment(threads, "cpu")
    found["NPROC"] = str(threads)  # of XLA on a CPU
    if job["deterministic"]:
        for name, value in registry.resolve(job["backend"]).determinism.items():
            before = os.environ.get(name, "") if name.endswith("FLAGS") else ""
            found[name] = f"{before} {value}".strip()
    if cache is not None and os.path.isdir(cache):
        found["JAX_COMPILATION_CACHE_DIR"] = cache
        found["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        found["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    return found


def begin() -> None:
    """Let processes be started, after :func:`end_all`."""
    _ended.clear()


def end_all() -> None:
    """End all processes that run now, and start no others."""
    with _lock:
        _ended.set()
        for process in _running:
            process.kill()


def _run(
    work: Callable[[Mapping[str, Any]], dict[str, Any]],
    job: Mapping[str, Any],
    variables: Mapping[str, str],
) -> dict[str, Any]:
    with scratch(tempfile.gettempdir(), "zoo-compare-", mode=0o700) as folder:
        with _lock:
            if _ended.is_set():
                raise TrainingError("the study has ended")
            process = Process(variables, folder=folder)
            _running.add(process)
        try:
            result: dict[str, Any] = process.call(packed(plainly, (work, job)))
        except JobError as error:
            raise TrainingError(str(error)) from None
        finally:
            process.kill()  # its compilers, too
            with _lock:
                _running.discard(process)
        return result
