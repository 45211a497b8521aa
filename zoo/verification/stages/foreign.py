"""Runs an ONNX file of another program.

Reads job.json and input.npy. Writes values.npz: the outputs and the value of every operation, by
number; the result names them. The process may use the memory that is free, and no more.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np

from zoo.verification.memory import available
from zoo.verification.stages import read_job


def run(folder: Path, name: str, requested: str) -> dict[str, Any]:
    """Run the job."""
    from zoo.backend import registry

    registry.load(requested)  # reports a package that is missing
    from zoo.onnx import foreign

    job = read_job(folder)
    _limit_memory()
    model = foreign.opened(Path(job["file"]))
    outputs, values = foreign.run(model, job["input"], np.load(folder / "input.npy"))
    arrays: dict[str, Any] = {}
    for kind, found in (("output", outputs), ("value", values)):
        arrays |= {f"{kind}{number}": value for number, value in enumerate(found.values())}
    np.savez(folder / "values.npz", **arrays)
    return {"outputs": list(outputs), "values": list(values)}


def _limit_memory() -> None:
    """Let this process have what is free besides what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + available()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
