"""Layer normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError, channels_of, per_channel, scale_and_shift
from zoo.ops.batch_norm import norm_case
from zoo.ops.cases import Case, Draw
from zoo.ops.fields import BOOLEAN, NUMBER
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation(
    "layer_norm", family="normalization", words=("LayerNormalization", "LayerNormalisation", "ln")
)
class LayerNorm(Op):
    """Normalizes the channels at each position of a map, or the features of a vector.

    By their mean and biased variance, in training as in evaluation. Attributes of the node:
    num_features, eps, scale, shift. Parameters: weight if scale, bias if shift, each [channels].

    Source: Ba et al., Layer Normalization, https://arxiv.org/abs/1607.06450
    """

    eps = Field(NUMBER, 1e-5)
    scale = Field(BOOLEAN, True)
    shift = Field(BOOLEAN, True)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        if layout:
            raise ShapeError("layer norm is not defined for a flattened map; put it before flatten")
        if self.eps <= 0:
            raise ShapeError(f"eps must be above 0, got {self.eps}")
        channels = channels_of(inputs[0])
        parameters = scale_and_shift(channels, self.scale, self.shift)
        attributes = {
            "num_features": channels,
            "eps": float(self.eps),
            "scale": self.scale,
            "shift": self.shift,
        }
        return Inferred(inputs[0], attributes, parameters)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        values = {name: per_channel(value, x) for name, value in weights.items()}
        variance = x.var(axis=1, keepdims=True) + x.dtype.type(node.attributes["eps"])
        out = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(variance)
        if "weight" in values:
            out = out * values["weight"]
        return np.asarray(out + values["bias"] if "bias" in values else out)

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        return norm_case(cls.op, draw)
