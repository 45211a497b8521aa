"""Stochastic regularization: dropout and stochastic depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError
from zoo.ops.cases import Case, Draw
from zoo.ops.fields import RATE
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


class _Dropping(Op):
    elementwise = True

    rate = Field(RATE, doc="the probability of dropping, not of keeping")

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        if self.rate == 1:
            raise ShapeError("a rate of 1 drops everything; expected a rate below 1")
        return Inferred(inputs[0], {"rate": float(self.rate)}, layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0]

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        return Case(draw.integer(1, 3), [{"op": cls.op, "rate": 0.5}])


@operation("dropout", family="regularization")
class Dropout(_Dropping):
    """In training, drops values with probability `rate`, and divides the others by 1 - rate.

    In evaluation it does nothing. Attributes of the node: rate.
    """


@operation(
    "stochastic_depth", family="regularization", words=("drop_path", "DropConnect", "DropPath")
)
class StochasticDepth(_Dropping):
    """In training, drops whole examples with probability `rate`; divides the others by 1 - rate.

    In evaluation it does nothing. Attributes of the node: rate.

    Source: Huang et al., Deep Networks with Stochastic Depth, https://arxiv.org/abs/1603.09382
    """
