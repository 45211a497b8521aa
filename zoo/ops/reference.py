"""Computes a whole graph by the NumPy definitions of its operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from zoo.graphs.graph import Graph
from zoo.ops.base import Array
from zoo.ops.registry import OPS


def steps(
    graph: Graph,
    x: npt.NDArray[np.generic],
    weights: Mapping[str, npt.NDArray[np.generic]],
    dtype: npt.DTypeLike = np.float64,
) -> Iterator[tuple[str, Array]]:
    """Compute a graph node by node in evaluation mode, by the NumPy definition of each operation.

    Values are freed after their last use, so that a large network needs little memory.

    Args:
        graph: The network.
        x: [N, C, H, W].
        weights: Canonical parameter name -> array.
        dtype: The dtype of the computation.

    Yields:
        Node name and its value, NCHW or [N, features].
    """
    values: dict[str, Array] = {"input": x.astype(dtype)}
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    for i, node in enumerate(graph.nodes):
        parameters = {
            p.name.removeprefix(f"{node.name}."): weights[p.name].astype(dtype)
            for p in node.parameters
        }
        value = OPS[node.op].meaning(node, [values[name] for name in node.inputs], parameters)
        yield node.name, value
        values[node.name] = value
        for name in node.inputs:
            if last[name] == i:
                values.pop(name, None)


def run(
    graph: Graph,
    x: npt.NDArray[np.generic],
    weights: Mapping[str, npt.NDArray[np.generic]],
    dtype: npt.DTypeLike = np.float64,
) -> dict[str, Array]:
    """Compute the outputs of a graph by its NumPy definition; see :func:`steps`.

    Returns:
        Output name -> array [N, num_classes].
    """
    names = {node.name: name for name, node in graph.output_nodes.items()}
    return {names[name]: v for name, v in steps(graph, x, weights, dtype) if name in names}
