"""Compares the training of a hand-written model with a spec's network in the same framework."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.api.models import Array
from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.testing.comparison import by_output
from zoo.testing.handwritten import HandWritten
from zoo.verification import tolerances
from zoo.verification.comparison import error


def check_training(
    mine: HandWritten,
    graph: Graph,
    x: Array,
    weights: Mapping[str, Array],
    labels: Array,
    statistics: bool,
    tolerance: float | None = None,
) -> None:
    """Compare the training loss, its gradients, and running statistics with the spec's network's.

    Args:
        mine: The hand-written model.
        graph: The spec's network.
        x: [N, C, H, W].
        weights: Canonical name -> array, for both.
        labels: Class numbers [N].
        statistics: Whether to compare running statistics as well.
        tolerance: For running statistics, if it is larger than the usual one.

    Raises:
        AssertionError: They differ; says what, by how much, and why where a reason is found.
        InputError: A batch norm sees one value per channel, which has no variance.
    """
    norms = [node for node in graph.nodes if node.op == "batch_norm"]
    for node in norms:
        if len(x) * math.prod(node.shape[1:]) == 1:
            raise InputError(f"{node.name} sees one value per channel: give x more examples")
    backend = mine.backend
    dtype = next((value.dtype.name for value in weights.values()), "float32")
    theirs = backend.build(graph.without_dropout(), None, dtype, 0)
    backend.set_weights(theirs, weights)
    other = HandWritten(theirs, graph, {})
    names = [output.name for output in graph.outputs]

    def loss(outputs: Any) -> Any:
        return graph.total_loss(
            by_output(outputs, names, mine.title, graph.name),
            lambda logits, weight: backend.cross_entropy(logits, labels, weight),
        )

    value, own, of_input, own_after = backend.differentiate(mine.model, x, loss, mine.dropouts)
    wanted, aim, aim_of_input, after = backend.differentiate(theirs, x, loss, other.dropouts)
    message = f"{mine.title} is not {graph.name}: "
    kind = "float64" if dtype == "float64" else "float32"
    most, most_kept = tolerances.GRADIENTS[kind], tolerances.TRAINING[kind]
    if not abs(value - wanted) <= most * abs(wanted):
        raise AssertionError(
            f"{message}in training its loss is {value:.6g}, the spec's {wanted:.6g}"
        )
    own, aim = mine.gradients(own), other.gradients(aim)
    largest = max((float(np.abs(each).max()) for each in aim.values()), default=0.0)
    of_all = float(np.abs(aim_of_input).max())
    scales = {**dict.fromkeys(aim, largest), "the input": of_all}
    own, aim = {**own, "the input": of_input}, {**aim, "the input": aim_of_input}
    for name, scale in scales.items():
        far = float(np.abs(own[name] - aim[name]).max()) / (scale or 1.0)
        if not far <= most:
            raise AssertionError(
                f"{message}in training the gradient of {name} is off by {far:.1e} of the largest, "
                f"allowed {most:.0e}"
            )
    if statistics:
        most_kept = max(most_kept, tolerance or 0)
        own, aim = mine.weights(own_after), other.weights(after)
        for node in norms:
            check_statistics(node, own, aim, weights, len(x), most_kept, message)


def check_statistics(
    node: Node,
    own: Mapping[str, Array],
    aim: Mapping[str, Array],
    before: Mapping[str, Array],
    examples: int,
    allowed: float,
    message: str,
) -> None:
    """Compare a batch norm's running statistics after a step with the spec's rule.

    Raises:
        AssertionError: They differ.
    """
    for local in ("running_mean", "running_var"):
        name = f"{node.name}.{local}"
        far = error(own[name], aim[name])
        if not far <= allowed:
            raise AssertionError(
                f"{message}after a step of training {name} is off by {far:.1e}, allowed "
                f"{allowed:.0e}{_reason(node, own, aim, before, examples)}"
            )


def _reason(
    node: Node,
    own: Mapping[str, Array],
    aim: Mapping[str, Array],
    before: Mapping[str, Array],
    examples: int,
) -> str:
    """Find why: in running = before + share (batch - before), another share or another variance."""
    share = float(node.attributes["momentum"])
    mean, variance = (f"{node.name}.{local}" for local in ("running_mean", "running_var"))

    def moved(values: Mapping[str, Array], name: str) -> Array:
        return values[name].astype(np.float64) - before[name]

    step = moved(aim, mean)
    if not step.any() or not share:
        return ""
    found = share * float((moved(own, mean) * step).sum() / (step * step).sum())
    said = ""
    if abs(found - share) > 1e-3 * share:
        said = (
            f".\nIt weighs the new value by {found:.3g}, the spec by {share:.3g}. PyTorch calls "
            "this momentum; in Paddle, Keras and Flax momentum weighs the old value, "
            f"{1 - share:.3g}"
        )
    count = examples * math.prod(node.shape[1:])
    batch = before[variance] + moved(aim, variance) / share
    unbiased = before[variance] + found * (batch * count / (count - 1) - before[variance])
    biased = before[variance] + found * (batch - before[variance])
    if error(unbiased, own[variance]) < 0.1 * error(biased, own[variance]):
        said += (
            f".\nIts running variance takes the unbiased variance of a batch, {count}/{count - 1} "
            "of the spec's, as PyTorch's own BatchNorm does and no other framework's: the network "
            "is the same, but the statistics it keeps in training are not"
        )
    return said
