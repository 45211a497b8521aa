"""Batch normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError, channels_of, per_channel, scale_and_shift
from zoo.ops.cases import Case, Draw, boolean
from zoo.ops.fields import BOOLEAN, NUMBER, RATE
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation(
    "batch_norm",
    family="normalization",
    words=("BatchNorm", "BatchNormalization", "BatchNormalisation", "BatchNorm2d", "bn"),
)
class BatchNorm(Op):
    """Normalizes each channel: by the batch's statistics in training, otherwise by running ones.

    In training, the biased variance of the batch is used, also for the running variance:
    ``running = (1 - momentum) * running + momentum * batch``. (PyTorch's own layer uses the
    unbiased variance there.)

    Attributes of the node: num_features, eps, momentum, scale, shift. Parameters: weight if scale,
    bias if shift, running_mean, running_var, each [channels].

    Source: Ioffe and Szegedy, Batch Normalization, https://arxiv.org/abs/1502.03167
    """

    eps = Field(NUMBER, 1e-5)
    momentum = Field(
        RATE,
        0.1,
        doc="the weight of the new value, as in PyTorch; 1 - momentum in Keras, Paddle and ONNX",
    )
    scale = Field(BOOLEAN, True)
    shift = Field(BOOLEAN, True)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        if layout:
            raise ShapeError("batch norm is not defined for a flattened map; put it before flatten")
        if self.eps <= 0:
            raise ShapeError(f"eps must be above 0, got {self.eps}")
        channels = channels_of(inputs[0])
        parameters = [
            *scale_and_shift(channels, self.scale, self.shift),
            Parameter("running_mean", (channels,), 0.0, trainable=False),
            Parameter("running_var", (channels,), 1.0, trainable=False),
        ]
        attributes = {
            "num_features": channels,
            "eps": float(self.eps),
            "momentum": float(self.momentum),
            "scale": self.scale,
            "shift": self.shift,
        }
        return Inferred(inputs[0], attributes, tuple(parameters))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        values = {name: per_channel(value, x) for name, value in weights.items()}
        deviation = np.sqrt(values["running_var"] + x.dtype.type(node.attributes["eps"]))
        out = (x - values["running_mean"]) / deviation
        if "weight" in values:
            out = out * values["weight"]
        return out + values["bias"] if "bias" in values else out

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        return norm_case(cls.op, draw)


def norm_case(op: str, draw: Draw) -> Case:
    """Draw a case for a normalization with a scale, a shift and an eps, on a map or a vector."""
    eps = draw.choice((1e-5, 1e-3))
    layer = {"op": op, "shift": boolean(draw), "scale": boolean(draw), "eps": eps}
    return Case(draw.integer(1, 3), [*before_norm(draw), layer])


def before_norm(draw: Draw) -> list[dict[str, str]]:
    """Draw the preceding layers: none, or layers that produce a vector."""
    return [{"op": "global_avg_pool"}, {"op": "flatten"}] if boolean(draw) else []
