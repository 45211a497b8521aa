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
    hand_written: HandWritten,
    graph: Graph,
    x: Array,
    weights: Mapping[str, Array],
    labels: Array,
    statistics: bool,
    tolerance: float | None = None,
) -> None:
    """Compare the training loss, its gradients and running statistics with the spec's network.

    Args:
        hand_written: The hand-written model.
        graph: The spec's network.
        x: [N, C, H, W].
        weights: Canonical name -> array, for both models.
        labels: Class numbers [N].
        statistics: Whether to compare running statistics as well.
        tolerance: For running statistics, if it is larger than the default.

    Raises:
        AssertionError: The models differ. The message reports the first mismatch, its size and,
            where it can be determined, its cause.
        InputError: A batch norm has only one value per channel, whose variance is undefined.
    """
    norms = [node for node in graph.nodes if node.op == "batch_norm"]
    for node in norms:
        if len(x) * math.prod(node.shape[1:]) == 1:
            raise InputError(f"{node.name} has one value per channel: give x more examples")
    backend = hand_written.backend
    dtype = next((value.dtype.name for value in weights.values()), "float32")
    reference_model = backend.build(graph.without_dropout(), None, dtype, 0)
    backend.set_weights(reference_model, weights)
    reference = HandWritten(reference_model, graph, {})
    names = [output.name for output in graph.outputs]

    def total_loss(outputs: Any) -> Any:
        return graph.total_loss(
            by_output(outputs, names, hand_written.title, graph.name),
            lambda logits, weight: backend.cross_entropy(logits, labels, weight),
        )

    loss, gradients, input_gradient, updated = backend.differentiate(
        hand_written.model, x, total_loss, hand_written.dropouts
    )
    expected_loss, expected_gradients, expected_input_gradient, expected_updated = (
        backend.differentiate(reference_model, x, total_loss, reference.dropouts)
    )
    message = f"{hand_written.title} is not {graph.name}: "
    kind = "float64" if dtype == "float64" else "float32"
    if not abs(loss - expected_loss) <= tolerances.GRADIENTS[kind] * abs(expected_loss):
        raise AssertionError(
            f"{message}the training loss is {loss:.6g}, the spec's is {expected_loss:.6g}"
        )
    gradients = hand_written.gradients(gradients)
    expected_gradients = reference.gradients(expected_gradients)
    allowed = tolerances.GRADIENTS[kind]
    check_gradients(gradients, expected_gradients, allowed, message)
    check_gradients(
        {"the input": input_gradient}, {"the input": expected_input_gradient}, allowed, message
    )
    if statistics:
        allowed = max(tolerances.TRAINING[kind], tolerance or 0)
        actual, expected = hand_written.weights(updated), reference.weights(expected_updated)
        for node in norms:
            check_statistics(node, actual, expected, weights, len(x), allowed, message)


def check_gradients(
    actual: Mapping[str, Array], expected: Mapping[str, Array], allowed: float, message: str
) -> None:
    """Compare gradients, relative to the largest of those expected.

    Raises:
        AssertionError: They differ.
    """
    largest = max((float(np.abs(value).max()) for value in expected.values()), default=0.0)
    for name, value in expected.items():
        deviation = float(np.abs(actual[name] - value).max()) / (largest or 1.0)
        if not deviation <= allowed:
            raise AssertionError(
                f"{message}the gradient of {name} is off by {deviation:.1e} of the largest "
                f"gradient, allowed {allowed:.0e}"
            )


def check_statistics(
    node: Node,
    actual: Mapping[str, Array],
    expected: Mapping[str, Array],
    before: Mapping[str, Array],
    examples: int,
    allowed: float,
    message: str,
) -> None:
    """Compare a batch norm's running statistics after a training step with the spec's rule.

    Raises:
        AssertionError: They differ.
    """
    for statistic in ("running_mean", "running_var"):
        name = f"{node.name}.{statistic}"
        deviation = error(actual[name], expected[name])
        if not deviation <= allowed:
            cause = _explanation(node, actual, expected, before, examples, allowed)
            raise AssertionError(
                f"{message}after a training step {name} is off by {deviation:.1e}, allowed "
                f"{allowed:.0e}{cause}"
            )


def _explanation(
    node: Node,
    actual: Mapping[str, Array],
    expected: Mapping[str, Array],
    before: Mapping[str, Array],
    examples: int,
    allowed: float,
) -> str:
    """Explain a mismatch by another momentum or by the unbiased variance, if either is the cause.

    The rule is: running = before + momentum * (batch - before). A cause is named if the rule with
    it gives what the model has.
    """
    momentum = float(node.attributes["momentum"])
    mean, variance = f"{node.name}.running_mean", f"{node.name}.running_var"

    def change(values: Mapping[str, Array], name: str) -> Array:
        return values[name].astype(np.float64) - before[name]

    expected_change = change(expected, mean)
    if not expected_change.any() or not momentum:
        return ""
    projection = (change(actual, mean) * expected_change).sum()
    estimate = momentum * float(projection / (expected_change * expected_change).sum())
    if not error(before[mean] + estimate / momentum * expected_change, actual[mean]) <= allowed:
        return ""
    text = ""
    if abs(estimate - momentum) > 1e-3 * momentum:
        text = (
            f".\nIt weights the new value by {estimate:.3g}, the spec by {momentum:.3g}. PyTorch "
            "calls this weight momentum; in Paddle, Keras and Flax, momentum is the weight of the "
            f"old value, {1 - momentum:.3g}"
        )
    count = examples * math.prod(node.shape[1:])
    batch = before[variance] + change(expected, variance) / momentum
    unbiased = before[variance] + estimate * (batch * count / (count - 1) - before[variance])
    biased = before[variance] + estimate * (batch - before[variance])
    deviation = error(unbiased, actual[variance])
    if deviation <= allowed and deviation < 0.1 * error(biased, actual[variance]):
        text += (
            f".\nIts running variance uses the unbiased variance of a batch, {count}/{count - 1} "
            "of the spec's. PyTorch's own BatchNorm does this; the other frameworks do not. The "
            "network is the same, but its running statistics differ after training"
        )
    return text
