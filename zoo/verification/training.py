"""Compares gradients and ten training steps of the backends with each other, in float64.

There is no NumPy reference for these, so every pair of backends is compared: gradients of the
training loss for every parameter and for the input, in training mode with dropout off; then losses,
weights and running statistics over ten steps of each optimizer rule.
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
from zoo.verification.comparison import differences
from zoo.verification.context import FLOAT64, Context
from zoo.verification.results import Training, TrainingPair
from zoo.verification.stages import write_job

BATCH = 4
_GRADIENTS, _TRAINING = tolerances.GRADIENTS["float64"], tolerances.TRAINING["float64"]


def compare(context: Context, steps: bool) -> Training:
    """Train in each backend and compare the results.

    Args:
        context: The network at its training size, and the backends.
        steps: Whether to compare training steps in addition to gradients.
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
    while waiting:  # the first backend to succeed determines the learning rates for all
        write_job(folder, graph=graph, seed=context.seed, rules=names, rates=rates or None)
        backends = waiting if rates or not names else waiting[:1]
        description = "training" if steps else "gradients"
        outcomes |= context.for_each_backend(run, description, backends=backends)
        waiting = waiting[len(backends) :]
        rates = next((o["rates"] for o in outcomes.values() if isinstance(o, dict)), {})
    context.progress("Comparing gradients and weights" if steps else "Comparing gradients")
    trained = {b: outcome for b, outcome in outcomes.items() if isinstance(outcome, dict)}
    problems = [
        f"{registry.resolve(backend).title}: {outcome}"
        for backend, outcome in outcomes.items()
        if isinstance(outcome, str)
    ]
    order = [parameter.name for parameter in graph.parameters]
    pairs = tuple(
        _compare_pair(folder, a, b, trained, names, order) for a, b in combinations(trained, 2)
    )
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
    """Write the batches of a training job to its folder."""
    channels, height, width = graph.input_shape
    classes = graph.output_nodes[graph.outputs[0].name].shape[0]
    for i, (x, labels) in enumerate(rules.batches((channels, height, width), BATCH, classes)):
        np.savez(folder / f"batch{i}.npz", x=x, labels=labels)


def _compare_pair(
    folder: Path, a: str, b: str, trained: Mapping[str, Any], names: Sequence[str], order: list[str]
) -> TrainingPair:
    first, second = trained[a], trained[b]
    with _open(folder, a, "gradients") as arrays_a, _open(folder, b, "gradients") as arrays_b:
        of_input = differences(arrays_a, arrays_b, ["input"])[0].error
        trainable = [name for name in order if name in arrays_a]
        gradients, reported = differences(arrays_a, arrays_b, trainable, _GRADIENTS)
    loss = _relative(first["loss"], second["loss"])
    final, losses, weights = {}, {}, {}
    errors = [
        (f"gradient of {reported.node}", reported.error, _GRADIENTS),
        ("gradient of the input", of_input, _GRADIENTS),
        ("loss", loss, _GRADIENTS),
    ]
    for rule in names:
        with _open(folder, a, rule) as arrays_a, _open(folder, b, rule) as arrays_b:
            final[rule], reported = differences(arrays_a, arrays_b, order, _TRAINING)
        errors.append((f"{reported.node} after {rule}", reported.error, _TRAINING))
        loss_pairs = zip(first["losses"][rule], second["losses"][rule], strict=True)
        losses[rule] = tuple(_relative(p, q) for p, q in loss_pairs)
        errors.append((f"losses of {rule}", max(losses[rule]), _TRAINING))
        steps_a, steps_b = (np.load(folder / f"{name}.{rule}.steps.npy") for name in (a, b))
        largest = np.abs(steps_a).max(axis=1)
        weights[rule] = tuple((np.abs(steps_a - steps_b).max(axis=1) / largest).tolist())
        errors.append((f"weights during {rule}", max(weights[rule]), _TRAINING))
    problems = tuple(
        f"{a} - {b}: {quantity}: {error:.1e} above {allowed:.0e}"
        for quantity, error, allowed in errors
        if not error <= allowed
    )
    return TrainingPair(a, b, loss, gradients, of_input, problems, final, losses, weights)


def _open(folder: Path, backend: str, kind: str) -> Any:
    return np.load(folder / f"{backend}.{kind}.npz", allow_pickle=False)


def _relative(a: float, b: float) -> float:
    return abs(a - b) / abs(a) if a else abs(b)
