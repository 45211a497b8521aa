"""From a map to a vector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape, Vector
from zoo.ops.base import Array, Inferred, Op, map_of
from zoo.ops.registry import operation


@operation("flatten", family="arranging")
class Flatten(Op):
    """Turns a map into a vector, in CHW order.

    No attributes; the node's layout is the shape of the map.
    """

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        shape = map_of(inputs[0])
        # A map of one pixel, or of one channel, is the same vector in either order.
        kept = shape if shape.height * shape.width > 1 and shape.channels > 1 else None
        return Inferred(Vector(math.prod(shape)), layout=kept)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0].reshape(len(inputs[0]), -1)
