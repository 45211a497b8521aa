"""Starts a new process for each measurement, and waits for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zoo.benchmarking.cells import Cell
from zoo.benchmarking.results import Round
from zoo.errors import BackendError
from zoo.files import scratch
from zoo.verification.context import FLOAT64

TIMEOUT = 1800  # seconds of one process

#: Variables by which libraries learn how many threads they may have.
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def environment(threads: int, device: str) -> dict[str, str]:
    """Return the variables that every process is started with, whatever its framework.

    Args:
        threads: How many threads it may have.
        device: ``cpu`` hides GPUs.
    """
    fixed = {
        "NVIDIA_TF32_OVERRIDE": "0",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONHASHSEED": "0",
        **dict.fromkeys(_THREADS, str(threads)),
    }
    hidden = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"} if device == "cpu" else {}
    return fixed | hidden


def measure(
    cell: Cell,
    folder: Path,
    number: int,
    *,
    threads: int,
    seed: int,
    limits: Mapping[str, float] | None,
) -> Round:
    """Measure a cell in a new process.

    Args:
        cell: What to measure.
        folder: What :func:`zoo.benchmarking.reference.write` filled.
        number: Of the round.
        threads: How many it may have.
        seed: Random seed for initial weights.
        limits: Fields of :class:`zoo.benchmarking.harness.Limits`; None to compare its results
            alone.

    Returns:
        The round; with a problem if the process failed.
    """
    job = {
        "cell": asdict(cell),
        "folder": str(folder),
        "number": number,
        "threads": threads,
        "seed": seed,
        "limits": limits and dict(limits),
    }
    start = time.perf_counter()
    double = FLOAT64 if cell.dtype == "float64" else {}
    answer = _run(job, threads, {**environment(threads, cell.device), **double})
    elapsed = time.perf_counter() - start
    if "result" not in answer:
        return Round(number, seconds={"process": elapsed}, problems=(answer["failed"],))
    answer["result"]["seconds"]["process"] = elapsed
    return TypeAdapter(Round).validate_python(answer["result"])


def write_gradients(folder: Path, backend: str, batch: int, threads: int, seed: int) -> None:
    """Have a framework differentiate a network in float64.

    Raises:
        BackendError: It failed.
    """
    job = {"folder": str(folder), "backend": backend, "batch": batch, "seed": seed}
    answer = _run(job, threads, {**environment(threads, "cpu"), **FLOAT64})
    if "failed" in answer:
        raise BackendError(f"{backend} cannot compute the reference gradients: {answer['failed']}")


def _run(job: dict[str, Any], threads: int, variables: Mapping[str, str]) -> dict[str, Any]:
    job["processors"] = sorted(os.sched_getaffinity(0))[:threads]
    root = str(Path(__file__).resolve().parents[2])
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    python_path = os.pathsep.join([root, *map(os.path.abspath, paths)])
    with scratch(tempfile.gettempdir(), "zoo-bench-", mode=0o700) as place:
        question, answer, log = place / "job.json", place / "answer.json", place / "log.txt"
        question.write_text(json.dumps(job), encoding="utf-8")
        # What compilers keep from one process to the next would make a first call a second one.
        caches = {"TORCHINDUCTOR_CACHE_DIR": str(place / "inductor")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "zoo.benchmarking.worker", question, answer],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **variables, **caches, "PYTHONPATH": python_path},
                cwd=place,
                start_new_session=True,  # Ctrl-C reaches this process alone, which ends the other
            )
            try:
                process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                return {"failed": f"no result within {TIMEOUT} s"}
            finally:
                with suppress(ProcessLookupError):  # its compilers, too
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        try:
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"failed": _reason(process.returncode, log)}
        return found


def _reason(status: int, log: Path) -> str:
    if status < 0:
        hint = ", perhaps because memory ran out" if status == -signal.SIGKILL else ""
        return f"the process was killed by signal {-status}{hint}"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else f"the process ended with status {status}"
