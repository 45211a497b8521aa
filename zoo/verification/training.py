"""Compares gradients, and ten steps of training, of the backends with each other, in float64.

There is no NumPy meaning to compare these with, so each two backends are compared: gradients of the
training loss for every parameter and for the input, in training mode with dropout off; then losses,
weights and running statistics over ten steps of each written rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.graphs.graph import Graph
from zoo.training import rules
from zoo.verification import tolerances
from zoo.verification.case import Outcome
from zoo.verification.comparison import Array, Worst
from zoo.verification.context import FLOAT64, Context
from zoo.verification.results import Training, TrainingPair
from zoo.verification.stages import write_job

BATCH = 4
_GRADIENTS, _TRAINING = tolerances.GRADIENTS["float64"], tolerances.TRAINING["float64"]


def compare(context: Context, steps: bool) -> Training:
    """Have each backend train, and compare the results.

    Args:
        context: The network at the size it is trained at, and the backends.
        steps: Whether to train, beside comparing gradients.
    """
    graph = context.graph
    names = list(rules.RULES) if steps else []
    folder = context.path / "training"
    folder.mkdir()
    write_batches(folder, graph)
    rates: dict[str, float] = {}

    def run(backend: str) -> Outcome:
        entry, requested = registry.resolve(backend), context.requested[backend]
        return context.workers.work(folder, entry, requested, "training", FLOAT64)

    outcomes: dict[str, Outcome] = {}
    waiting = list(context.requested)
    while waiting:  # the first to succeed finds the learning rates for all
        write_job(folder, graph=graph, seed=context.seed, rules=names, rates=rates or None)
        now = waiting if rates or not names else waiting[:1]
        outcomes |= context.each(run, "training" if steps else "gradients", backends=now)
        waiting = waiting[len(now) :]
        rates = next((o["rates"] for o in outcomes.values() if isinstance(o, dict)), {})
    context.progress("Comparing gradients and weights" if steps else "Comparing gradients")
    trained = {b: outcome for b, outcome in outcomes.items() if isinstance(outcome, dict)}
    problems = [
        f"{registry.resolve(backend).title}: {outcome}"
        for backend, outcome in outcomes.items()
        if isinstance(outcome, str)
    ]
    order = [parameter.name for parameter in graph.parameters]
    pairs = tuple(_pair(folder, a, b, trained, names, order) for a, b in combinations(trained, 2))
    height, width = graph.options["input_size"]
    return Training(
        input_size=(height, width),
        batch=BATCH,
        steps=rules.STEPS if steps else 0,
        rates=rates,
        losses={backend: outcome["losses"] for backend, outcome in trained.items()},
        drift={backend: tuple(outcome["drift"]) for backend, outcome in trained.items()},
        sampled=max((outcome["sampled"] for outcome in trained.values()), default=0),
        values=sum(parameter.size for parameter in graph.parameters),
        pairs=pairs,
        problems=(*problems, *(problem for pair in pairs for problem in pair.problems)),
    )


def write_batches(folder: Path, graph: Graph) -> None:
    """Write the batches of a job that trains into its folder."""
    channels, height, width = graph.input_shape
    classes = graph.output_nodes[graph.outputs[0].name].shape[0]
    for i, (x, labels) in enumerate(rules.batches((channels, height, width), BATCH, classes)):
        np.savez(folder / f"batch{i}.npz", x=x, labels=labels)


def _pair(
    folder: Path, a: str, b: str, trained: Mapping[str, Any], names: Sequence[str], order: list[str]
) -> TrainingPair:
    first, second = trained[a], trained[b]
    with _open(folder, a, "gradients") as one, _open(folder, b, "gradients") as other:
        of_input = _differences(one, other, ["input"])[0].error
        gradients, shown = _differences(one, other, [n for n in order if n in one], _GRADIENTS)
    loss = _relative(first["loss"], second["loss"])
    after, losses, weights = {}, {}, {}
    errors = [
        (f"gradient of {shown.node}", shown.error, _GRADIENTS),
        ("gradient of the input", of_input, _GRADIENTS),
        ("loss", loss, _GRADIENTS),
    ]
    for rule in names:
        with _open(folder, a, rule) as one, _open(folder, b, rule) as other:
            after[rule], shown = _differences(one, other, order, _TRAINING)
        errors.append((f"{shown.node} after {rule}", shown.error, _TRAINING))
        both = zip(first["losses"][rule], second["losses"][rule], strict=True)
        losses[rule] = tuple(_relative(p, q) for p, q in both)
        errors.append((f"losses of {rule}", max(losses[rule]), _TRAINING))
        one, other = (np.load(folder / f"{backend}.{rule}.steps.npy") for backend in (a, b))
        largest = np.abs(one).max(axis=1)
        weights[rule] = tuple((np.abs(one - other).max(axis=1) / largest).tolist())
        errors.append((f"weights during {rule}", max(weights[rule]), _TRAINING))
    problems = tuple(
        f"{a} - {b}: {what}: {error:.1e} above {allowed:.0e}"
        for what, error, allowed in errors
        if not error <= allowed
    )
    return TrainingPair(a, b, loss, gradients, of_input, problems, after, losses, weights)


def _open(folder: Path, backend: str, what: str) -> Any:
    return np.load(folder / f"{backend}.{what}.npz", allow_pickle=False)


def _differences(
    first: Mapping[str, Array],
    second: Mapping[str, Array],
    names: Sequence[str],
    allowed: float = float("inf"),
) -> tuple[Worst, Worst]:
    """Compare arrays by their largest difference over the largest value of all of them.

    Returns:
        The worst array, and the first in the order of ``names`` that exceeds ``allowed``, or the
        worst again.
    """
    largest = max(float(np.abs(first[name]).max()) for name in names) or 1.0
    errors = {name: _difference(first[name], second[name]) / largest for name in names}
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
