"""Runs a program that was written on a photograph, and compares it with the model it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from zoo import ops
from zoo.api.networks import network_and_weights
from zoo.api.preprocessing import recipe_of, transform
from zoo.api.running import predict
from zoo.backend.base import Array
from zoo.backend.programs import Run
from zoo.data import images
from zoo.errors import BackendError
from zoo.exporting.wrapping import scale_and_offset
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import channels_first
from zoo.verification import tolerances
from zoo.verification.comparison import error


class Difference(NamedTuple):
    """The largest error of any output, what is allowed, and what was compared with."""

    error: float
    tolerance: float
    reference: str


def compare(
    model: Any,
    network: Graph,
    program: Graph,
    run: Run,
    dtype: str,
    channels_last: bool,
    by_definition: bool = False,
) -> Difference:
    """Compare a program with a model, on a batch of one and of two.

    Args:
        model: The model, in any framework.
        network: Its graph, with the outputs that the program has.
        program: The graph of the program: the network, and what was put before and behind it.
        run: Runs the program.
        dtype: The dtype of both.
        channels_last: Whether the program takes [N, H, W, C].
        by_definition: Whether NumPy computes the network in float64, in place of the model, which
            the engine of the program would run as the same program.

    Returns:
        The largest of max|a - b| / max|b| of each output b of the model. That of a softmax is
        divided by the largest logit, as it turns an error of the logits into so much more.

    Raises:
        BackendError: The program lacks an output, or has them in another order.
    """
    photograph = transform(program, "CHW")(images.default())
    batch = np.stack([photograph, photograph[:, :, ::-1]])
    x = batch if program.preprocessing == network.preprocessing else _normalized(batch, network)
    found: Mapping[str, Array]
    if by_definition:
        found = ops.run(network, x, network_and_weights(model)[1])
    else:
        found = _named(predict(model, x), [output.name for output in network.outputs])
    expected = [found[output.name] for output in network.outputs]
    names, largest = list(program.output_nodes), 0.0
    for count in (1, 2):
        part = batch[:count].transpose(0, 2, 3, 1) if channels_last else batch[:count]
        results = _named(run(np.ascontiguousarray(part, dtype)), names)
        if list(results) != names:
            raise BackendError(
                f"the program returns {', '.join(results)} instead of {', '.join(names)}"
            )
        for (name, node), logits in zip(program.output_nodes.items(), expected, strict=True):
            value = channels_first(results[name], node.layout) if channels_last else results[name]
            reference: Array = logits[:count].astype(np.float64)
            size = 1.0
            if program is not network and node.op == "softmax":
                size = max(1.0, float(np.abs(reference).max()))
                reference = ops.OPS["softmax"].meaning(node, [reference], {})
            largest = max(largest, error(value, reference) / size)
    tolerance = tolerances.FORWARD[dtype]
    if largest > tolerance and dtype == "float32":
        tolerance = max(tolerance, tolerances.ROUNDING_FACTOR * _rounding(model, network, x[:1]))
    return Difference(largest, tolerance, "NumPy in float64" if by_definition else "the model")


def _normalized(pixels: Array, network: Graph) -> Array:
    """Return the input that a network makes of pixels, in float64."""
    recipe, channels = recipe_of(network), pixels.shape[1]
    factor, offset = (each[:, None, None] for each in scale_and_offset(recipe, channels))
    values: Array = pixels * factor + offset
    return np.ascontiguousarray(values[:, ::-1]) if recipe["channels"] == "bgr" else values


def _named(outputs: Any, names: list[str]) -> Mapping[str, Array]:
    """Return outputs by name; a single one may have none."""
    return outputs if isinstance(outputs, Mapping) else {names[0]: outputs}


def _rounding(model: Any, network: Graph, x: Array) -> float:
    """Return the largest error of any node when NumPy computes the network in float32."""
    _, weights = network_and_weights(model)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = ops.steps(network, x, weights)
        rounded = ops.steps(network, x, weights, np.float32)
        pairs = zip(rounded, exact, strict=True)
        return max(error(value, reference) for (_, value), (_, reference) in pairs)
