"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map, NodeShape, Vector
from zoo.ops.base import Array, Inferred, Op, vector_of
from zoo.ops.cases import Case, Draw, boolean
from zoo.ops.fields import BOOLEAN, POSITIVE
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation(
    "linear",
    family="dense",
    words=("Dense", "fc", "FullyConnected", "fully_connected", "Gemm", "InnerProduct"),
)
class Linear(Op):
    """A fully connected layer, x Wᵀ + b, of a vector.

    Attributes of the node: in_features, out_features, bias, and layout: ``(C, H, W)`` if the input
    is a flattened map, else None; a framework that flattens in HWC order permutes the weight's
    input axis accordingly, once. Parameters: weight [out, in], bias [out].
    """

    out_features = Field(POSITIVE)
    bias = Field(BOOLEAN, True)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        features, out = vector_of(inputs[0]).features, self.out_features
        parameters = [Parameter("weight", (out, features), fan_in=features, fan_out=out)]
        if self.bias:
            parameters.append(Parameter("bias", (out,), 0.0))
        attributes = {
            "in_features": features,
            "out_features": out,
            "bias": self.bias,
            "layout": layout,
        }
        return Inferred(Vector(out), attributes, tuple(parameters), features * out)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        product: Array = inputs[0] @ weights["weight"].T
        return product + weights["bias"] if "bias" in weights else product

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        between: tuple[dict[str, Any], ...] = ({"op": "relu"}, {"op": "dropout", "rate": 0.5})
        layers = [draw.choice(between) for _ in range(draw.integer(0, 2))]
        layer = {"op": cls.op, "out_features": draw.integer(1, 5), "bias": boolean(draw)}
        return Case(draw.integer(1, 3), [{"op": "flatten"}, *layers, layer])
