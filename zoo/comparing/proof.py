"""Proves that the frameworks train alike, before anything is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from io import BytesIO
from itertools import combinations, groupby
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.comparing import processes
from zoo.comparing.plan import Comparison, Job, Planned, digest
from zoo.comparing.results import Proof
from zoo.comparing.store import Folder
from zoo.errors import TrainingError
from zoo.graphs.graph import Graph
from zoo.jobs import run
from zoo.verification import tolerances
from zoo.verification.comparison import differences, error

_ALLOWED = tolerances.TRAINING["float64"]
_FORWARD = tolerances.FORWARD["float64"]


class ProofError(TrainingError):
    """Aligned runs are not the same in float64."""


def prove(
    comparisons: Sequence[Comparison],
    steps: int,
    executor: Executor,
    folder: Folder | None = None,
    progress: Callable[[str], None] = lambda message: None,
    cache: str | None = None,
) -> list[Proof]:
    """Make the first steps of aligned runs in float64, and hold the frameworks to each other.

    Args:
        comparisons: What the study compares.
        steps: How many; with 0, nothing is proven.
        executor: Starts the processes.
        folder: Where proofs are kept.
        progress: Called with a message before each network.
        cache: A folder for compiled programs.

    Returns:
        A proof of each comparison.

    Raises:
        ProofError: Two frameworks differ by more than the tolerance of ``zoo verify --level
            training``. The error names the first node.
        TrainingError: A framework failed.
    """
    found: list[Proof] = []
    of_images = groupby(comparisons, lambda c: (c.case.graph, c.case.recipe.data))
    for (graph, data), group in of_images if steps else ():
        runs = [_aligned(comparison) for comparison in group]
        key = digest([steps, [run.key for each in runs for run in each]])[:32]
        keys = [f"{key}-{number}" for number in range(len(runs))]
        kept = [folder.proof(key) if folder is not None else None for key in keys]
        proofs = [proof for proof in kept if proof is not None]
        if len(proofs) < len(runs):
            progress(f"Proving that the frameworks train {graph.name} alike on {data}")
            jobs = [
                {"jobs": [run.job for run in of_backend], "steps": steps, "cache": cache}
                for of_backend in zip(*runs, strict=True)
            ]
            proofs = list(_compared(runs, jobs, executor))
            for key, proof in zip(keys, proofs, strict=True):
                if folder is not None:
                    folder.keep_proof(key, proof)
        found += proofs
    return found


def _aligned(comparison: Comparison) -> list[Planned]:
    """Return the aligned runs of the first seed, one for each framework."""
    first = comparison.runs[0].condition
    return [run for run in comparison.runs if run.condition == first]


def _compared(runs: list[list[Planned]], jobs: list[Job], executor: Executor) -> Iterator[Proof]:
    backends = [planned.backend for planned in runs[0]]
    files: dict[str, bytes] = {}
    for number, result in run(processes.prove_one, jobs, executor):
        if isinstance(result, Exception):
            title = registry.resolve(backends[number]).title
            raise TrainingError(f"{title} cannot train in float64: {result}")
        files |= result["files"]
    for number, planned in enumerate(runs):
        condition = planned[0].condition
        graph = Graph.from_dict(planned[0].job["graph"])
        names = [parameter.name for parameter in graph.parameters]
        loaded = {b: _load(files[f"{b}.{number}.npz"]) for b in backends}
        steps, largest = compare(loaded, names, condition.model)
        yield Proof(
            condition.model, condition.data, condition.grid, tuple(backends), steps, largest
        )


def compare(
    arrays: Mapping[str, Mapping[str, Any]], names: Sequence[str], model: str
) -> tuple[int, float]:
    """Compare what frameworks have after each step.

    Args:
        arrays: Backend -> what :func:`zoo.comparing.training.prove` has written.
        names: Parameters and statistics, in the order of the network.
        model: What a message calls the network.

    Returns:
        The number of steps, and the largest difference.

    Raises:
        ProofError: It is above the tolerance.
    """
    steps = max(int(key.partition("/")[0]) for key in next(iter(arrays.values())) if key[0] != "n")
    largest = 0.0
    for step in range(1, steps + 1):
        for a, b in combinations(arrays, 2):
            first, second = (_of(arrays[backend], str(step)) for backend in (a, b))
            worst, reported = differences(first, second, names, _ALLOWED)
            if not worst.error <= _ALLOWED:
                where = _first_node(arrays[a], arrays[b]) or (
                    f"the first node is {reported.node.rpartition('.')[0]}, whose "
                    f"{reported.node.rpartition('.')[2]} differs by {reported.error:.1e} after "
                    f"step {step}, where {_ALLOWED:.0e} is allowed"
                )
                titles = " and ".join(registry.resolve(each).title for each in (a, b))
                raise ProofError(f"{model}: {titles} do not train alike in float64: {where}")
            largest = max(largest, worst.error)
    return steps, largest


def _first_node(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Say which node of the initial models is the first that differs; empty if none does."""
    for name, value in _of(a, "node").items():
        found = error(value, _of(b, "node")[name])
        if not found <= _FORWARD:
            return (
                f"the first node is {name}, which differs by {found:.1e} in the initial model, "
                f"where {_FORWARD:.0e} is allowed"
            )
    return ""


def _of(arrays: Mapping[str, Any], kind: str) -> dict[str, Any]:
    prefix = f"{kind}/"
    return {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}


def _load(content: bytes) -> dict[str, Any]:
    with np.load(BytesIO(content), allow_pickle=False) as file:
        return dict(file)
