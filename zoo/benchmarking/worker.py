"""Measures one cell in this process; started by :mod:`zoo.benchmarking.processes`.

    python -m zoo.benchmarking.worker JOB ANSWER

Both are JSON files. The processors and the threads are limited before anything is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main(job_file: str, answer_file: str) -> None:
    """Do a job."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    os.sched_setaffinity(0, job["processors"])
    try:
        answer: dict[str, Any] = {"result": _gradients(job) if "batch" in job else _cell(job)}
    except Exception as error:  # a framework may raise anything; report it
        traceback.print_exc()
        lines = [text for text in str(error).splitlines() if text.strip()] or [""]
        answer = {"failed": f"{type(error).__name__}: {lines[0].strip()[:300]}"}
    Path(answer_file).write_text(json.dumps(answer), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # frameworks take long to end, and there is nothing left to do


def _gradients(job: dict[str, Any]) -> dict[str, Any]:
    from zoo.backend import registry
    from zoo.benchmarking import reference

    backend = registry.load(job["backend"])
    reference.write_gradients(Path(job["folder"]), backend, job["batch"], job["seed"])
    return {}


def _cell(job: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    from zoo.backend import registry

    backend: Any = registry.load(job["cell"]["backend"])
    seconds = {"import": time.perf_counter() - start}

    from safetensors.numpy import load_file

    from zoo.benchmarking import harness, memory, proof
    from zoo.benchmarking.cells import Cell
    from zoo.verification.stages import build

    cell, folder = Cell(**job["cell"]), Path(job["folder"])
    seconds["harness"] = time.perf_counter() - start - seconds["import"]
    graph = proof.read_graph(folder)
    given = proof.inputs(folder, graph, cell.batch)
    of_work = proof.Outputs if cell.work == "forward" else proof.Gradients
    held_to: harness.Proof = of_work(folder, cell.dtype, cell.batch)
    graph = graph if cell.work == "forward" else graph.without_dropout()

    memory.reset()
    base, peak = memory.resident(), {}
    start = time.perf_counter()
    model = backend.place(build(backend, graph, cell.dtype, job["seed"]), cell.device)
    seconds["build"] = time.perf_counter() - start
    peak["build"] = _beyond(memory.peak(), base)
    memory.reset()
    start = time.perf_counter()
    backend.set_weights(model, load_file(folder / "weights.safetensors"))
    seconds["weights"] = time.perf_counter() - start
    peak["weights"] = _beyond(memory.peak(), base)

    done = harness.measure(
        lambda: backend.workload(model, cell.work, cell.mode, job["threads"]),
        cell,
        given,
        held_to,
        threads=job["threads"],
        number=job["number"],
        limits=harness.Limits(**job["limits"]) if job["limits"] else None,
        base=base,
    )
    answer = asdict(done)
    answer["seconds"] = seconds | answer["seconds"]
    answer["peak"] = peak | answer["peak"]
    answer["device_peak"] = backend.peak_memory() if cell.device == "cuda" else None
    return answer


def _beyond(most: int | None, base: int | None) -> int | None:
    return None if most is None or base is None else max(most - base, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
