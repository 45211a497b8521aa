"""A scale and a shift for each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError, channels_of, per_channel
from zoo.ops.batch_norm import before_norm
from zoo.ops.cases import Case, Draw, boolean
from zoo.ops.fields import BOOLEAN, NUMBER
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation("affine", family="arranging", words=("LayerScale", "layer_scale"))
class Affine(Op):
    """Multiplies each channel by a weight, and adds a bias to it. Layer scale is one.

    Attributes of the node: num_features, shift, scale_init. Parameters: weight, and bias if shift,
    each [channels].
    """

    shift = Field(BOOLEAN, True)
    scale_init = Field(NUMBER, 1.0, doc="the initial value of its weights")

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        if layout:
            raise ShapeError(
                "a flattened map has no channels to scale; put the layer before flatten"
            )
        channels, start = channels_of(inputs[0]), float(self.scale_init)
        parameters = [
            Parameter("weight", (channels,), start),
            *([Parameter("bias", (channels,), 0.0)] if self.shift else []),
        ]
        attributes = {"num_features": channels, "shift": self.shift, "scale_init": start}
        return Inferred(inputs[0], attributes, tuple(parameters))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        out = x * per_channel(weights["weight"], x)
        return out + per_channel(weights["bias"], x) if "bias" in weights else out

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        layer = {"op": cls.op, "shift": boolean(draw), "scale_init": draw.choice((1.0, 1e-6))}
        return Case(draw.integer(1, 3), [*before_norm(draw), layer])
