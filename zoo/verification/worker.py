"""Builds and runs one backend in this process; started by ``verify`` with a job's folder.

    python -m zoo.verification.worker FOLDER BACKEND NAME

NAME is what the caller called the backend, an alias perhaps.
The folder holds job.json, input.npy and weights.npz. The worker leaves BACKEND.json and
BACKEND.npz (a value for every node) there. Being a process of its own, a crash is a row in the
report; and it may set what a library must not, such as JAX's x64 flag.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RUNS = 5


def main(folder: str, name: str, asked: str) -> None:
    """Do the job of one backend."""
    path = Path(folder)
    job = json.loads((path / "job.json").read_text())
    result = work(path, name, asked, job)
    (path / f"{name}.json").write_text(json.dumps(result))


def work(path: Path, name: str, asked: str, job: dict[str, Any]) -> dict[str, Any]:
    """Build, count, run and time one backend."""
    if job["dtype"] == "float64":
        os.environ["JAX_ENABLE_X64"] = "1"  # or JAX would compute in float32
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import zoo
    from zoo import backends

    backend, loading = _timed(lambda: backends.load(asked))
    options = {**job["options"], "input_size": tuple(job["options"]["input_size"])}
    model, building = _timed(
        lambda: zoo.build(job["model"], name, **options, seed=job["seed"], dtype=job["dtype"])
    )
    parameters = {"aux" if options["aux"] else "plain": backend.count_parameters(model)}
    x = np.load(path / "input.npy")
    with np.load(path / "weights.npz", allow_pickle=False) as weights:
        zoo.set_weights(model, weights)
    outputs, first = _timed(lambda: zoo.predict(model, x))
    runs = [_timed(lambda: zoo.predict(model, x))[1] for _ in range(RUNS)]
    graph = zoo.graph_of(model)
    values = zoo.features(model, x, [node.name for node in graph.nodes])
    # What predict returns may come by another road than features: both are held to the reference.
    named = outputs if isinstance(outputs, dict) else {graph.outputs[0].name: outputs}
    arrays: dict[str, Any] = {**values, **{f"output:{key}": v for key, v in named.items()}}
    np.savez(path / f"{name}.npz", **arrays)
    memory = _peak_memory()
    if job["has_aux"]:
        other = {**options, "aux": not options["aux"]}
        second = zoo.build(job["model"], name, **other, seed=job["seed"], dtype=job["dtype"])
        parameters["aux" if other["aux"] else "plain"] = backend.count_parameters(second)
    engine = getattr(backend, "engine", None)  # Keras runs on one of several
    packages = backends.resolve(name).packages
    return {
        "versions": backends.versions([packages[0], engine()] if engine else packages),
        "parameters": parameters,
        "output_shapes": {key: list(value.shape) for key, value in named.items()},
        "import_s": loading,
        "build_s": building,
        "first_run_s": first,
        "run_s": statistics.median(runs),
        "peak_memory_mib": memory,
    }


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    value = function()
    return value, time.perf_counter() - start


def _peak_memory() -> float | None:
    """The most memory this process held, in MiB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:4])
