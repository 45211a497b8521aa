"""Builds, counts, runs and times a model.

Of job.json, input.npy and weights.npz it makes BACKEND.npz: a value for every node, and for every
output that ``zoo.predict`` gives.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from zoo.verification.stages import job_of

RUNS = 5


def run(folder: Path, name: str, asked: str) -> dict[str, Any]:
    """Do the job."""
    job = job_of(folder)
    fresh = not any(entry in sys.modules for entry in ("torch", "paddle", "keras", "flax"))
    import zoo
    from zoo.backend import registry

    backend, loading = _timed(lambda: registry.load(asked))
    options = job["options"]
    model, building = _timed(
        lambda: zoo.build(job["model"], name, **options, seed=job["seed"], dtype=job["dtype"])
    )
    kind, other = ("aux", "plain") if options["aux"] else ("plain", "aux")
    parameters = {kind: backend.count_parameters(model)}
    shapes = {key: list(shape) for key, shape in backend.shapes(model).items()}
    x = np.load(folder / "input.npy")
    with np.load(folder / "weights.npz", allow_pickle=False) as weights:
        zoo.set_weights(model, weights)
    outputs, first = _timed(lambda: zoo.predict(model, x))
    runs = [_timed(lambda: zoo.predict(model, x))[1] for _ in range(RUNS)] if job["timed"] else []
    graph = zoo.graph_of(model)
    values = zoo.features(model, x, [node.name for node in graph.nodes])
    # What predict returns may come by another road than features: both are held to the reference.
    named = outputs if isinstance(outputs, dict) else {graph.outputs[0].name: outputs}
    arrays: dict[str, Any] = {**values, **{f"output:{key}": v for key, v in named.items()}}
    np.savez(folder / f"{name}.npz", **arrays)
    memory = _peak_memory() if fresh else None
    if job["has_aux"]:
        options = {**options, "aux": not options["aux"]}
        second = zoo.build(job["model"], name, **options, seed=job["seed"], dtype=job["dtype"])
        parameters[other] = backend.count_parameters(second)
    engine = getattr(backend, "engine", None)  # Keras runs on one of several
    packages = registry.resolve(name).packages
    return {
        "versions": registry.versions([packages[0], engine()] if engine else packages),
        "parameters": parameters,
        "shapes": shapes,
        "output_shapes": {key: list(value.shape) for key, value in named.items()},
        "import_s": loading if fresh else None,
        "build_s": building,
        "first_run_s": first,
        "run_s": statistics.median(runs) if runs else None,
        "peak_memory_mib": memory,
    }


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    value = function()
    return value, time.perf_counter() - start


def _peak_memory() -> float | None:
    """The most memory this process held, in MiB; None where the system does not say."""
    # Not getrusage first, which on Linux counts what the process that started this one held.
    with suppress(OSError, StopIteration):
        status = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
