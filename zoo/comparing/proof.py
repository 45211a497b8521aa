"""Proves that the frameworks train alike, before anything is compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
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
        progress: Called with messages: before anything is run, and when a network is proven.
        cache: A folder for compiled programs.

    Returns:
        A proof of each comparison.

    Raises:
        ProofError: Two frameworks differ by more than the tolerance of ``zoo verify --level
            training``. The error names the first node.
        TrainingError: A framework failed.
    """
    if not steps:
        return []
    of_images = groupby(comparisons, lambda c: (c.case.graph, c.case.recipe.data))
    groups = [
        _Group.of(f"{graph.name} on {data}", list(c), steps) for (graph, data), c in of_images
    ]
    keys = [key for group in groups for key in group.keys]
    proofs = {key: folder.proof(key) if folder is not None else None for key in keys}
    waiting = [group for group in groups if any(proofs[key] is None for key in group.keys)]
    if waiting:
        names = ", ".join(group.name for group in waiting)
        progress(f"Proving that the frameworks train alike in float64: {names}")
    for group, found in _compared(waiting, steps, executor, cache):
        for key, proof in zip(group.keys, found, strict=True):
            if folder is not None:
                folder.keep_proof(key, proof)
            proofs[key] = proof
        progress(f"Proven: {group.name}, within {max(proof.error for proof in found):.1e}")
    return [proof for proof in proofs.values() if proof is not None]


@dataclass(frozen=True)
class _Group:
    """Comparisons with one network and dataset, which are proven by one job of each framework.

    Attributes:
        name: What messages call it.
        runs: The aligned runs of the first seed, of each comparison in each framework.
        keys: Of the proof of each comparison.
    """

    name: str
    runs: list[list[Planned]]
    keys: list[str]

    @staticmethod
    def of(name: str, comparisons: Sequence[Comparison], steps: int) -> _Group:
        runs = [_aligned(comparison) for comparison in comparisons]
        key = digest([steps, [run.key for each in runs for run in each]])[:32]
        return _Group(name, runs, [f"{key}-{number}" for number in range(len(runs))])


def _aligned(comparison: Comparison) -> list[Planned]:
    """Return the aligned runs of the first seed, one for each framework."""
    first = comparison.runs[0].condition
    return [run for run in comparison.runs if run.condition == first]


def _compared(
    groups: Sequence[_Group], steps: int, executor: Executor, cache: str | None
) -> Iterator[tuple[_Group, list[Proof]]]:
    """Yield the proofs of each group as soon as each framework has made its steps."""
    owners: list[tuple[int, str]] = []
    jobs: list[Job] = []
    for number, group in enumerate(groups):
        for of_backend in zip(*group.runs, strict=True):
            owners.append((number, of_backend[0].backend))
            jobs.append({"jobs": [run.job for run in of_backend], "steps": steps, "cache": cache})
    files: list[dict[str, bytes]] = [{} for _ in groups]
    left = Counter(number for number, _ in owners)
    for index, result in run(processes.prove_one, jobs, executor):
        number, backend = owners[index]
        if isinstance(result, Exception):
            title = registry.resolve(backend).title
            raise TrainingError(f"{title} cannot train in float64: {result}")
        files[number] |= result["files"]
        left[number] -= 1
        if not left[number]:
            runs = groups[number].runs
            yield groups[number], [_proof(n, each, files[number]) for n, each in enumerate(runs)]
            files[number] = {}


def _proof(number: int, runs: Sequence[Planned], files: Mapping[str, bytes]) -> Proof:
    """Compare the files of one comparison's runs."""
    condition, backends = runs[0].condition, tuple(run.backend for run in runs)
    graph = Graph.from_dict(runs[0].job["graph"])
    names = [parameter.name for parameter in graph.parameters]
    loaded = {backend: _load(files[f"{backend}.{number}.npz"]) for backend in backends}
    steps, largest = compare(loaded, names, condition.model)
    return Proof(condition.model, condition.data, condition.grid, backends, steps, largest)


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
