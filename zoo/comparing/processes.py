"""Starts a new process for each run, and waits for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.backend import registry
from zoo.benchmarking import processes
from zoo.errors import TrainingError
from zoo.files import scratch
from zoo.jobs import JobDiedError
from zoo.verification.context import FLOAT64

#: The processes that run now, of all threads.
_running: set[subprocess.Popen[bytes]] = set()
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
    return _run(job, environment(job, job.get("cache")))


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
        found = _run({**job, "folder": str(folder)}, variables)
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
            _kill(process)


def _run(job: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    root = str(Path(__file__).resolve().parents[2])
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    python_path = os.pathsep.join([root, *map(os.path.abspath, paths)])
    with scratch(tempfile.gettempdir(), "zoo-compare-", mode=0o700) as place:
        question, answer, log = place / "job.json", place / "answer.json", place / "log.txt"
        question.write_text(json.dumps(job), encoding="utf-8")
        with log.open("wb") as output:
            with _lock:
                if _ended.is_set():
                    raise TrainingError("the study has ended")
                # -P: files in the temporary folder must not shadow modules of a framework.
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "zoo.comparing.worker", question, answer],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **variables, "PYTHONPATH": python_path},
                    cwd=place,
                    start_new_session=True,  # Ctrl-C reaches this process, which ends the other
                )
                _running.add(process)
            try:
                process.wait()
            finally:
                _kill(process)  # its compilers, too
                process.wait()
                with _lock:
                    _running.discard(process)
        try:
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise JobDiedError(_reason(process.returncode, log)) from None
    if "failed" in found:
        raise TrainingError(found["failed"])
    result: dict[str, Any] = found["result"]
    return result


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _reason(status: int, log: Path) -> str:
    if status < 0:
        hint = ", perhaps because memory ran out" if status == -signal.SIGKILL else ""
        return f"the process was killed by signal {-status}{hint}"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else f"the process ended with status {status}"
