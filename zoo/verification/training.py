"""Holds gradients and ten steps of training of the backends against each other, in float64.

There is no NumPy meaning to hold them to, so each two backends are compared: gradients of the
training loss for every parameter and for the input, in training mode with dropouts that drop
nothing; then losses, weights and running statistics over ten steps of each written rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.graphs.graph import Graph
from zoo.training import rules
from zoo.verification.comparison import Worst
from zoo.verification.forward import FLOAT64, Proof
from zoo.verification.results import Training, TrainingPair

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

GRADIENTS = 1e-10  # the largest difference allowed, over the largest gradient of the model
TRAINING = 1e-8  # that of weights and statistics after ten steps, over the largest of them
BATCH = 4


def compare(proof: Proof, steps: bool) -> Training:
    """Have each backend train, and compare what they leave.

    Args:
        proof: What to prove, at the size it is trained at.
        steps: Whether to train, beside comparing gradients.
    """
    graph = proof.graph
    names = list(rules.RULES) if steps else []
    job = {
        "model": proof.model,
        "options": dict(graph.options),
        "seed": proof.seed,
        "rules": names,
        "rates": None,
    }
    folder = proof.path / "training"
    prepare(folder, graph, job)
    found: dict[str, dict[str, Any]] = {}
    problems = []
    for backend, words in proof.asked.items():
        entry = registry.resolve(backend)
        proof.progress(f"{entry.title}, {'training' if steps else 'gradients'}")
        result = proof.workers.work(folder, entry, words, "training", FLOAT64)
        if isinstance(result, dict):
            found[backend] = result
            job["rates"] = result["rates"]  # the first finds them for all
            (folder / "job.json").write_text(json.dumps(job))
        else:
            problems.append(f"{entry.title}: {result}")
    proof.progress("comparing gradients")
    order = [parameter.name for parameter in graph.parameters]
    pairs = tuple(_pair(folder, a, b, found, names, order) for a, b in combinations(found, 2))
    rates: Any = job["rates"]
    return Training(
        input_size=graph.options["input_size"],
        batch=BATCH,
        steps=rules.STEPS if steps else 0,
        rates=rates or {},
        losses={backend: result["losses"] for backend, result in found.items()},
        drift={backend: tuple(result["drift"]) for backend, result in found.items()},
        sampled=max((result["sampled"] for result in found.values()), default=0),
        values=sum(parameter.size for parameter in graph.parameters),
        seconds={backend: result["seconds"] for backend, result in found.items()},
        pairs=pairs,
        problems=(*problems, *(problem for pair in pairs for problem in pair.problems)),
    )


def prepare(folder: Path, graph: Graph, job: Mapping[str, Any]) -> None:
    """Make the folder of a job that trains: the job, and its batches."""
    folder.mkdir()
    channels, height, width = graph.input_shape
    shape = channels, height, width
    classes = graph.output_nodes[graph.outputs[0].name].shape[0]
    for i, (x, labels) in enumerate(rules.batches(shape, BATCH, classes)):
        np.savez(folder / f"batch{i}.npz", x=x, labels=labels)
    (folder / "job.json").write_text(json.dumps(job))


def _pair(
    folder: Path, a: str, b: str, found: Mapping[str, Any], names: Sequence[str], order: list[str]
) -> TrainingPair:
    first, second = found[a], found[b]
    with _opened(folder, a, "gradients") as one, _opened(folder, b, "gradients") as other:
        of_input = _apart(one, other, ["input"])[0].error
        gradients, parted = _apart(one, other, [n for n in order if n in one], GRADIENTS)
    loss = _relative(first["loss"], second["loss"])
    after, losses, weights = {}, {}, {}
    beyond = [
        (f"gradient of {parted.node}", parted.error, GRADIENTS),
        ("gradient of the input", of_input, GRADIENTS),
        ("loss", loss, GRADIENTS),
    ]
    for rule in names:
        with _opened(folder, a, rule) as one, _opened(folder, b, rule) as other:
            after[rule], parted = _apart(one, other, order, TRAINING)
        beyond.append((f"{parted.node} after {rule}", parted.error, TRAINING))
        both = zip(first["losses"][rule], second["losses"][rule], strict=True)
        losses[rule] = tuple(_relative(p, q) for p, q in both)
        beyond.append((f"losses of {rule}", max(losses[rule]), TRAINING))
        one, other = (np.load(folder / f"{backend}.{rule}.steps.npy") for backend in (a, b))
        largest = np.abs(one).max(axis=1)
        weights[rule] = tuple((np.abs(one - other).max(axis=1) / largest).tolist())
        beyond.append((f"weights on the way of {rule}", max(weights[rule]), TRAINING))
    problems = tuple(
        f"{a} - {b}: {what}: {error:.1e} above {most:.0e}"
        for what, error, most in beyond
        if not error <= most
    )
    return TrainingPair(a, b, loss, gradients, of_input, problems, after, losses, weights)


def _opened(folder: Path, backend: str, what: str) -> Any:
    return np.load(folder / f"{backend}.{what}.npz", allow_pickle=False)


def _apart(
    one: Mapping[str, Array],
    other: Mapping[str, Array],
    names: Sequence[str],
    allowed: float = float("inf"),
) -> tuple[Worst, Worst]:
    """The largest difference over the largest value, of all these arrays together.

    Returns:
        It, and the first array by ``names`` that is beyond what is allowed; or it again.
    """
    largest = max(float(np.abs(one[name]).max()) for name in names) or 1.0
    errors = {name: _difference(one[name], other[name]) / largest for name in names}
    most = max(errors, key=lambda name: errors[name])
    worst = Worst(errors[most], most)
    return worst, next((Worst(e, n) for n, e in errors.items() if not e <= allowed), worst)


def _difference(a: Array, b: Array) -> float:
    if a.shape != b.shape:
        return float("inf")
    difference = float(np.abs(a - b).max())
    return difference if difference == difference else float("inf")


def _relative(a: float, b: float) -> float:
    return abs(a - b) / abs(a) if a else abs(b)
