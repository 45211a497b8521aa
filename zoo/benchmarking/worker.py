"""Measures one cell in this process; called by :mod:`zoo.benchmarking.processes`.

Nothing is imported with this module that a framework would import: its import is measured, and the
processors are limited before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any


def differentiate(
    processors: Iterable[int], backend: str, folder: Path, batch: int, seed: int
) -> None:
    """Write the gradients that others are held to.

    Args:
        processors: Those that this process may use.
        backend: The framework.
        folder: See :func:`zoo.benchmarking.reference.write_gradients`.
        batch: Images at once.
        seed: Random seed for initial weights.
    """
    os.sched_setaffinity(0, processors)
    from zoo.backend import registry
    from zoo.benchmarking import reference

    reference.write_gradients(folder, registry.load(backend), batch, seed)


def measure(
    processors: Iterable[int],
    fields: Mapping[str, Any],
    folder: Path,
    number: int,
    threads: int,
    seed: int,
    limits: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Measure a cell.

    Args:
        processors: Those that this process may use.
        fields: The cell, as :class:`zoo.benchmarking.cells.Cell` has them.
        folder: See :func:`zoo.benchmarking.processes.measure`, as for the rest.
        number: Of the round.
        threads: How many it may have.
        seed: Random seed for initial weights.
        limits: How long to run it.

    Returns:
        The fields of :class:`zoo.benchmarking.results.Round`.
    """
    os.sched_setaffinity(0, processors)
    start = time.perf_counter()
    from zoo.backend import registry

    backend: Any = registry.load(fields["backend"])
    seconds = {"import": time.perf_counter() - start}

    from safetensors.numpy import load_file

    from zoo.benchmarking import harness, memory, proof
    from zoo.benchmarking.cells import Cell
    from zoo.verification.stages import build

    cell = Cell(**fields)
    seconds["harness"] = time.perf_counter() - start - seconds["import"]
    graph = proof.read_graph(folder)
    given = proof.inputs(folder, graph, cell.batch)
    of_work = proof.Outputs if cell.work == "forward" else proof.Gradients
    held_to: harness.Proof = of_work(folder, cell.dtype, cell.batch)
    graph = graph if cell.work == "forward" else graph.without_dropout()

    memory.reset()
    base, peak = memory.resident(), {}
    start = time.perf_counter()
    model = backend.place(build(backend, graph, cell.dtype, seed), cell.device)
    seconds["build"] = time.perf_counter() - start
    peak["build"] = _beyond(memory.peak(), base)
    memory.reset()
    start = time.perf_counter()
    backend.set_weights(model, load_file(folder / "weights.safetensors"))
    seconds["weights"] = time.perf_counter() - start
    peak["weights"] = _beyond(memory.peak(), base)

    done = harness.measure(
        lambda: backend.workload(model, cell.work, cell.mode, threads),
        cell,
        given,
        held_to,
        threads=threads,
        number=number,
        limits=harness.Limits(**limits) if limits else None,
        base=base,
    )
    answer = asdict(done)
    answer["seconds"] = seconds | answer["seconds"]
    answer["peak"] = peak | answer["peak"]
    answer["device_peak"] = backend.peak_memory() if cell.device == "cuda" else None
    return answer


def _beyond(most: int | None, base: int | None) -> int | None:
    return None if most is None or base is None else max(most - base, 0)
