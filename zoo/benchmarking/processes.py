"""Makes each measurement in a new process."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zoo.benchmarking import worker
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.results import Round
from zoo.errors import BackendError
from zoo.files import scratch
from zoo.jobs.errors import JobDiedError, JobError
from zoo.jobs.process import Process, packed
from zoo.jobs.worker import plainly
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
    start = time.perf_counter()
    double = FLOAT64 if cell.dtype == "float64" else {}
    try:
        result = _run(
            {**environment(threads, cell.device), **double},
            worker.measure,
            _processors(threads),
            asdict(cell),
            folder,
            number,
            threads,
            seed,
            limits and dict(limits),
        )
    except (JobError, JobDiedError) as error:
        result = {"number": number, "problems": (str(error),)}
    seconds = {**result.get("seconds", {}), "process": time.perf_counter() - start}
    return TypeAdapter(Round).validate_python({**result, "seconds": seconds})


def write_gradients(folder: Path, backend: str, batch: int, threads: int, seed: int) -> None:
    """Have a framework differentiate a network in float64.

    Raises:
        BackendError: It failed.
    """
    variables = {**environment(threads, "cpu"), **FLOAT64}
    try:
        _run(variables, worker.differentiate, _processors(threads), backend, folder, batch, seed)
    except (JobError, JobDiedError) as error:
        raise BackendError(f"{backend} cannot compute the reference gradients: {error}") from None


def _processors(threads: int) -> list[int]:
    return sorted(os.sched_getaffinity(0))[:threads]


def _run(variables: Mapping[str, str], function: Callable[..., Any], *arguments: Any) -> Any:
    with scratch(tempfile.gettempdir(), "zoo-bench-", mode=0o700) as folder:
        # What compilers keep from one process to the next would make a first call a second one.
        caches = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}
        with Process({**variables, **caches}, folder=folder) as process:
            return process.call(packed(plainly, (function, *arguments)), TIMEOUT)
