"""How much memory is available, and how much a verification needs."""

from __future__ import annotations

import math

from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.jobs.machine import available

__all__ = ["NotEnoughMemoryError", "available", "needed"]


class NotEnoughMemoryError(InputError):
    """A verification needs more memory than is available, at any input size."""


def needed(graph: Graph, itemsize: int) -> int:
    """Estimate how many bytes the verification of a network needs, in a worker or the parent.

    There are up to four copies of the weights: in the model, as drawn, as received, and in the
    framework's layout. There are two float64 copies of every node's value: the framework's and
    NumPy's. The unrolled windows of the largest convolution exist once.

    Args:
        graph: The network.
        itemsize: Bytes per weight.
    """
    weights = sum(math.prod(p.shape) for p in graph.parameters)
    values = sum(math.prod(node.shape) for node in graph.nodes)
    windows = max((_windows(node.attributes, node.shape) for node in graph.nodes), default=0)
    return 4 * itemsize * weights + 8 * (2 * values + windows)


def _windows(attributes: object, shape: tuple[int, ...]) -> int:
    if not isinstance(attributes, dict) or "kernel_size" not in attributes or len(shape) != 3:
        return 0
    channels = attributes.get("in_channels", shape[0])
    return int(channels * math.prod(attributes["kernel_size"]) * shape[1] * shape[2])
