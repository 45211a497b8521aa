"""Zeros around a map, or a map without its edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of
from zoo.ops.cases import Case, Draw, integers
from zoo.ops.fields import EDGES
from zoo.ops.grammar import Field
from zoo.ops.registry import operation
from zoo.ops.windows import cropped, four, pad


@operation("pad", family="arranging", words=("ZeroPadding2D", "ZeroPad2d", "Cropping2D"))
class Pad(Op):
    """Adds zeros around a map; a negative number removes pixels instead.

    Attributes of the node: padding, (top, bottom, left, right).
    """

    padding = Field(EDGES)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        shape, padding = map_of(inputs[0]), four(self.padding)
        top, bottom, left, right = (min(edge, 0) for edge in padding)
        if shape.height + top + bottom < 1 or shape.width + left + right < 1:
            size = f"{shape.height}x{shape.width}"
            raise ShapeError(f"padding {list(padding)} leaves no pixel of a map of {size}")
        height, width = shape.height + sum(padding[:2]), shape.width + sum(padding[2:])
        return Inferred(Map(shape.channels, height, width), {"padding": padding})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        padding = node.attributes["padding"]
        return pad(cropped(inputs[0], padding), [max(edge, 0) for edge in padding])

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        padding = integers(draw, -2, 3, draw.choice((1, 2, 4)))
        value = padding if len(padding) > 1 else padding[0]
        return Case(draw.integer(1, 3), [{"op": cls.op, "padding": value}])
