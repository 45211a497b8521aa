"""Activations: functions of each value of the input; and the softmax, of those of a vector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op
from zoo.ops.cases import Case, Draw, boolean
from zoo.ops.composite import Composite
from zoo.ops.registry import operation


class Activation(Op):
    """Base of activations: no fields, no attributes, and the shape of the input."""

    elementwise = True

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        return Inferred(inputs[0], layout=layout)

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        """Draw a map or a flattened map, with values well beyond the kinks of the function."""
        layers: list[dict[str, Any]] = [{"op": "scale", "factor": 5}, {"op": cls.op}]
        if boolean(draw):
            layers = [{"op": "flatten"}, *layers, {"op": "linear", "out_features": 2}]
        return Case(draw.integer(1, 3), layers)


@operation("relu", family="activation", words=("ReLU", "rectifier"))
class ReLU(Activation):
    """max(x, 0)."""

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.maximum(inputs[0], 0)


@operation("relu6", family="activation", words=("ReLU6",))
class ReLU6(Activation):
    """min(max(x, 0), 6)."""

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.clip(inputs[0], 0, 6)


@operation("sigmoid", family="activation", words=("logistic",))
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        # numerically stable: never the exponential of a large number
        (x,) = inputs
        small = np.exp(-np.abs(x))
        return np.asarray(np.where(x >= 0, x.dtype.type(1), small) / (1 + small))


@operation("tanh", family="activation")
class Tanh(Activation):
    """The hyperbolic tangent."""

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.tanh(inputs[0])


@operation("hard_sigmoid", family="activation")
class HardSigmoid(Activation):
    """relu6(x + 3) / 6. (That of Keras 2 and TensorFlow has a slope of 0.2.)

    Source: Howard et al., Searching for MobileNetV3, https://arxiv.org/abs/1905.02244
    """

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.asarray(np.clip(inputs[0] + 3, 0, 6) / 6)


class Gated(Composite, Activation):
    """An activation that multiplies its input by another activation of the input."""

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        return Composite.infer(self, inputs, layout)


@operation("hard_swish", family="activation", words=("hardswish", "hard_silu"))
class HardSwish(Gated):
    """x times hard_sigmoid(x).

    Source: Howard et al., Searching for MobileNetV3, https://arxiv.org/abs/1905.02244
    """

    expands = {
        "gate": {"op": "hard_sigmoid"},
        "product": {"op": "multiply", "from": ["input", "gate"]},
    }


@operation("silu", family="activation", words=("SiLU", "swish", "swish1"))
class SiLU(Gated):
    """x times sigmoid(x), also called swish.

    Source: Ramachandran et al., Searching for Activation Functions,
    https://arxiv.org/abs/1710.05941
    """

    expands = {
        "gate": {"op": "sigmoid"},
        "product": {"op": "multiply", "from": ["input", "gate"]},
    }


@operation("gelu", family="activation")
class GELU(Activation):
    """x times the normal cumulative distribution function: x / 2 (1 + erf(x / sqrt 2)).

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, https://arxiv.org/abs/1606.08415
    """

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        erf = np.vectorize(math.erf, otypes=[x.dtype])
        return np.asarray(x * (1 + erf(x / math.sqrt(2))) / 2)


@operation("softmax", family="activation")
class Softmax(Activation):
    """Probabilities: exp(x) divided by its sum over the channels, or over a vector's features.

    A network to train ends without one, because its loss takes logits.
    """

    elementwise = False  # but a flattened map may be in any order: the sum is the same

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        # That of one value is always 1, which Keras warns of.
        return super().cases(draw)._replace(channels=draw.integer(2, 4))
