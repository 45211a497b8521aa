"""Multiplication by a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op
from zoo.ops.cases import Case, Draw
from zoo.ops.fields import NUMBER
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation("scale", family="arranging", words=("Rescaling",))
class Scale(Op):
    """Every value times a constant.

    Attributes of the node: factor.

    After a dropout of rate r, a factor of 1 - r makes the dropout that Paddle calls
    ``downscale_in_infer``: in training it only drops, in evaluation it multiplies by 1 - r.
    """

    elementwise = True

    factor = Field(NUMBER)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        return Inferred(inputs[0], {"factor": float(self.factor)}, layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0] * inputs[0].dtype.type(node.attributes["factor"])

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        last: dict[str, Any] = {"op": "linear", "out_features": 2}
        layers: list[dict[str, Any]] = [{"op": "flatten"}, {"op": cls.op, "factor": 0.3}, last]
        return Case(draw.integer(1, 3), layers)
