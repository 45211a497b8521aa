"""The operations of the spec language: for each its fields, its shape rule and its NumPy meaning.

A builder gets a :class:`zoo.graphs.nodes.Node` and reads ``node.attributes``, which each class here
lists. :func:`run` computes a whole graph: the written meaning that every framework is held to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

import numpy as np
import numpy.typing as npt

from zoo.graphs.graph import Graph
from zoo.ops.activations import (
    GELU,
    HardSigmoid,
    HardSwish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)
from zoo.ops.base import Array, Inferred, Op, ShapeError
from zoo.ops.channels import ChannelShuffle, PadChannels, Select, Slice
from zoo.ops.dense import Conv, Linear
from zoo.ops.elementary import Add, Concat, Dropout, Flatten, Multiply, Scale, StochasticDepth
from zoo.ops.normalisation import LRN, Affine, BatchNorm, LayerNorm
from zoo.ops.pooling import AdaptiveAvgPool, AvgPool, GlobalAvgPool, MaxPool

ALL: tuple[type[Op], ...] = (
    Conv,
    Linear,
    BatchNorm,
    LayerNorm,
    Affine,
    LRN,
    ReLU,
    ReLU6,
    Sigmoid,
    Tanh,
    HardSigmoid,
    HardSwish,
    SiLU,
    GELU,
    Dropout,
    StochasticDepth,
    MaxPool,
    AvgPool,
    GlobalAvgPool,
    AdaptiveAvgPool,
    Scale,
    Flatten,
    Concat,
    Add,
    Multiply,
    Slice,
    Select,
    ChannelShuffle,
    PadChannels,
)

#: op name -> class
OPS: dict[str, type[Op]] = {get_args(op.model_fields["op"].annotation)[0]: op for op in ALL}

__all__ = ["ALL", "OPS", "Array", "Inferred", "Op", "ShapeError", "run", "steps"]


def steps(
    graph: Graph,
    x: npt.NDArray[np.generic],
    weights: Mapping[str, npt.NDArray[np.generic]],
    dtype: npt.DTypeLike = np.float64,
) -> Iterator[tuple[str, Array]]:
    """Compute a graph node by node in evaluation mode, by the NumPy meaning of each operation.

    Values are let go once nothing reads them any more, so a large network needs little memory.

    Args:
        graph: The network.
        x: [N, C, H, W].
        weights: Canonical parameter name -> array.
        dtype: What to compute in.

    Yields:
        Node name and its value, NCHW or [N, features].
    """
    values: dict[str, Array] = {"input": x.astype(dtype)}
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    for i, node in enumerate(graph.nodes):
        own = {p.name: weights[p.name].astype(dtype) for p in node.parameters}
        local = {name.removeprefix(f"{node.name}."): value for name, value in own.items()}
        value = OPS[node.op].meaning(node, [values[name] for name in node.inputs], local)
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
    """Compute a graph by its NumPy meaning; see :func:`steps`.

    Returns:
        Output name -> array [N, num_classes].
    """
    wanted = {node.name: name for name, node in graph.output_nodes.items()}
    return {wanted[name]: v for name, v in steps(graph, x, weights, dtype) if name in wanted}
