"""Unfairnesses of a measurement, each with a name.

What is compared with a reference may still be timed unfairly: with other threads, without waiting
for the result, or with a result that was computed before. Each rule here names one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.benchmarking.cells import Cell

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

_READING = 0.25  # of the time of a run: more, and reading a result includes computing it
_NOTICEABLE = 1e-3  # seconds
_FRESH = 3.0  # times the time of a run: a new input takes longer only if others were not computed
_THREADS = 1.15  # times the processors stated


def of_facts(cell: Cell, threads: int, facts: Mapping[str, Any]) -> list[str]:
    """Compare what a framework reports with what a cell states.

    Args:
        cell: What is to be measured.
        threads: How many are stated.
        facts: See :meth:`zoo.backend.workloads.Workload.facts`; None is not known.

    Returns:
        The unfairnesses, each with its name before a colon.

    Example:
        >>> cell = Cell("vgg16", "torch", "eager", "cpu", "float32", 1, "forward")
        >>> of_facts(cell, 2, {"threads": 4, "compiled": False})
        ['threads: it has 4, and 2 are stated']
    """
    compiled, training = cell.mode != "eager", cell.work != "forward"
    modes = {True: "training", False: "evaluation"}
    ways = {True: "compiled", False: "eager"}

    def differs(key: str, stated: Any) -> bool:
        return facts.get(key) is not None and facts[key] != stated

    found = []
    if differs("threads", threads):
        found.append(f"threads: it has {facts['threads']}, and {threads} are stated")
    if differs("dtype", cell.dtype):
        found.append(f"dtype: its weights are {facts['dtype']}, not {cell.dtype}")
    if differs("device", cell.device):
        found.append(f"device: it is on {facts['device']}, not on {cell.device}")
    if differs("training", training):
        found.append(
            f"train mode: the model is in {modes[bool(facts['training'])]} mode, not in "
            f"{modes[training]} mode"
        )
    if differs("compiled", compiled):
        state = ways[bool(facts["compiled"])]
        found.append(f"mode: it runs {state}, and {cell.mode} is stated")
    if facts.get("tf32"):
        found.append("TF32: matrix products are in TF32, and float32 is stated")
    if facts.get("given") != facts.get("computed"):
        found.append(
            f"layout: it is given {facts.get('given')} and computes in {facts.get('computed')}, so "
            "that a copy would be timed"
        )
    return found


def of_batch(cell: Cell, found: Mapping[str, Array]) -> list[str]:
    """Compare the number of results of a forward pass with the batch."""
    if cell.work != "forward":
        return []
    sizes = {len(value) if value.ndim else 0 for value in found.values()}
    if sizes == {cell.batch}:
        return []
    given = " and ".join(map(str, sorted(sizes))) or "no"
    return [f"batch: there are results of {given} images, not of {cell.batch}"]


def of_inputs(first: Mapping[str, Array], second: Mapping[str, Array]) -> list[str]:
    """Compare the results of two inputs, which must differ."""
    same = first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )
    return ["cached outputs: two inputs give the same results"] if same else []


def of_fresh_input(pairs: list[tuple[float, float]], median: float) -> list[str]:
    """Compare the times of inputs that were never seen before with those of known ones.

    Args:
        pairs: Of a new input, and of a known one right after it, when the machine is as busy.
        median: Of the timed runs.
    """
    least = max(_FRESH * median, median + _NOTICEABLE)
    if all(new > max(least, _FRESH * known) for new, known in pairs):
        factor = min(new for new, _ in pairs) / median
        return [f"cached outputs: a new input takes {factor:.0f} times as long as the timed ones"]
    return []


def of_reading(reads: list[tuple[float, float]], median: float) -> list[str]:
    """Compare the times of reading results for the first time and again.

    If the first takes longer, each time, the result was not there when the clock stopped.
    """
    if all(a - b > max(_READING * median, _NOTICEABLE) for a, b in reads):
        return ["no waiting: results were still being computed when the clock stopped"]
    return []


def of_processors(own: float, threads: int) -> list[str]:
    """Compare the processors that were used with the threads that are stated."""
    if own > _THREADS * threads:
        return [f"threads: {own:.1f} processors were used, and {threads} are stated"]
    return []
