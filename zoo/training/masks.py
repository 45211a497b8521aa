"""The masks of dropout, from a counter-based generator instead of a framework's own.

The numbers come from a counter-based generator (Philox), by the seed, the number of the step and
the node. So all frameworks drop the same values, and a run that is resumed, even in another
framework, drops what it would have dropped.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from zoo.graphs.graph import Graph
from zoo.graphs.layouts import channels_last
from zoo.graphs.nodes import Node

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Masks:
    """The masks of a network's dropouts.

    Example:
        >>> import zoo
        >>> masks = Masks(zoo.graph("googlenet"), seed=0).batch(7, 32)
        >>> masks["dropout"].shape, round(float(masks["dropout"].max()), 3)
        ((32, 1024), 1.667)
    """

    def __init__(
        self, graph: Graph, seed: int, layout: str = "CHW", dtype: str = "float32"
    ) -> None:
        """Find the dropouts of a network.

        Args:
            graph: The network.
            seed: Random seed.
            layout: ``CHW`` or ``HWC``: how a map lies in the framework, and is flattened.
            dtype: The dtype of the masks.
        """
        self._nodes = [node for node in graph.nodes if node.attributes.get("rate")]
        self._last, self._dtype = layout == "HWC", np.dtype(dtype)
        digest = hashlib.sha256(f"{seed}|dropout".encode()).digest()
        self._key = int.from_bytes(digest[:16], "little")

    def batch(self, step: int, size: int) -> dict[str, Array]:
        """Make the masks of a step.

        Args:
            step: The number of the step, from 0.
            size: Examples in the batch.

        Returns:
            Name of a node -> [N, ...] in the framework's layout, of the shape of the node's input
            or broadcast to it: 0 where a value is dropped, and 1 / (1 - rate) elsewhere.
        """
        return {
            node.name: self._mask(node, number, step, size)
            for number, node in enumerate(self._nodes)
        }

    def _mask(self, node: Node, number: int, step: int, size: int) -> Array:
        whole = node.op == "stochastic_depth"
        shape = (size, *(1 for _ in node.shape)) if whole else (size, *node.shape)
        count = int(np.prod(shape))
        generator = np.random.Philox(key=self._key, counter=[0, 0, number, step])
        raw = generator.random_raw(-(-count // 2)).astype("<u8", copy=False).view("<u4")[:count]
        rate = node.attributes["rate"]
        kept = raw.reshape(shape) >= np.uint32(round(rate * 2**32))
        mask = kept * self._dtype.type(1 / (1 - rate))
        return channels_last(mask, node.layout) if self._last and not whole else mask
