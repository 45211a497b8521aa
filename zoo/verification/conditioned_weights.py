"""Well-conditioned weights, with which a correct network stays accurate in floating point.

With arbitrary random running statistics, correct networks diverge: values grow without bound, and
rounding errors with them, so that a comparison is meaningless. Here weights use He scaling, biases
are nonzero, and each batch norm divides by about the magnitude of the reference's values at that
node and has a scale in [0.5, 1.5]. Every part of every operation affects the result, and values
stay bounded. The magnitude is computed over all channels, and the running mean is drawn at random
rather than measured. Otherwise, channels that hardly vary, with values close to their mean, would
lose a digit every few layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_dtypes import bfloat16

from zoo import ops
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node, Parameter
from zoo.ops.composite import opened
from zoo.verification.comparison import error
from zoo.weights.initial import uniform

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def conditioned(graph: Graph, x: Array, seed: int = 0) -> tuple[dict[str, Array], dict[str, Array]]:
    """Make conditioned weights and compute the reference values of all nodes with them.

    Args:
        graph: The network.
        x: float32 [N, C, H, W], on which batch norm statistics are calibrated.
        seed: Random seed for the weights.

    Returns:
        Canonical name -> float32 array, and node name -> float64 array.
    """
    weights = _Weights(graph, seed)
    values: dict[str, Array] = {"input": x.astype(np.float64)}
    # The parameters of a composite depend on what its layers read.
    layers = opened(graph, {node.op for node in graph.nodes if not node.parameters})
    for node in layers.nodes:
        inputs = [values[name] for name in node.inputs]
        parameters = weights.fill(node, inputs[0])
        values[node.name] = ops.OPS[node.op].meaning(node, inputs, parameters)
    return weights.values, {n.name: values[layers.node(n.name).name] for n in graph.nodes}


def rounding(
    graph: Graph,
    x: Array,
    weights: Mapping[str, Array],
    reference: Mapping[str, Array],
    dtype: str = "float32",
) -> float:
    """Return the largest error of any node when NumPy computes the graph in float32.

    This is the rounding error inherent to the network; no framework can do much better. In
    bfloat16, weights and the values of nodes are in it, and sums are computed in float32, as
    kernels do.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the caller checks that it is finite
        if dtype == "bfloat16":
            return _rounding_of_halves(graph, x, weights, reference)
        steps = ops.steps(graph, x, weights, np.float32)
        return max(error(value, reference[name]) for name, value in steps)


def _rounding_of_halves(
    graph: Graph, x: Array, weights: Mapping[str, Array], reference: Mapping[str, Array]
) -> float:
    def rounded(value: Array) -> Array:
        return value.astype(bfloat16).astype(np.float32)

    layers = opened(graph, {node.op for node in graph.nodes if not node.parameters})
    values, largest = {"input": rounded(x)}, 0.0
    for node in layers.nodes:
        parameters = {
            p.name.removeprefix(f"{node.name}."): rounded(weights[p.name]) for p in node.parameters
        }
        inputs = [values[name] for name in node.inputs]
        values[node.name] = rounded(ops.OPS[node.op].meaning(node, inputs, parameters))
    for node in graph.nodes:
        value = values[layers.node(node.name).name]
        largest = max(largest, error(value, reference[node.name]))
    return largest


class _Weights:
    def __init__(self, graph: Graph, seed: int) -> None:
        self.graph, self.seed = graph, seed
        self.values: dict[str, Array] = {}

    def fill(self, node: Node, x: Array) -> dict[str, Array]:
        """Draw a node's parameters; return them by local name, in float64."""
        parameters: dict[str, Array] = {}
        for parameter in node.parameters:
            name = parameter.name.removeprefix(f"{node.name}.")
            value = self.draw(parameter, node, name, x).astype(np.float32)
            self.values[parameter.name] = value
            parameters[name] = value.astype(np.float64)
        return parameters

    def draw(self, parameter: Parameter, node: Node, name: str, x: Array) -> Array:
        if parameter.constant is None:
            return uniform(self.graph, parameter, self.seed, math.sqrt(6 / parameter.fan_in))
        noise = uniform(self.graph, parameter, self.seed, 1.0)
        if name == "running_mean":
            mean_square = (x * x).mean(axis=(0, *range(2, x.ndim)))
            return np.asarray(0.3 * noise * np.sqrt(mean_square))
        if name == "running_var":
            # Over the whole layer. Variances per channel would amplify rounding errors a
            # thousandfold over a hundred layers.
            return np.asarray((x * x).mean() * (1 + 0.1 * noise))
        if name == "weight":
            return 1 + 0.5 * noise
        return 0.1 * noise
