"""Activations: each value of the output depends on one value of the input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape
from zoo.ops.base import Array, Inferred, Op


class Activation(Op):
    """What every activation is: no fields, no attributes, and the shape of its input."""

    elementwise = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        return Inferred(inputs[0], layout=layout)


class ReLU(Activation):
    """max(x, 0)."""

    op: Literal["relu"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.maximum(inputs[0], 0)


class ReLU6(Activation):
    """min(max(x, 0), 6)."""

    op: Literal["relu6"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.clip(inputs[0], 0, 6)


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    op: Literal["sigmoid"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return sigmoid(inputs[0])


class Tanh(Activation):
    """The hyperbolic tangent."""

    op: Literal["tanh"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.tanh(inputs[0])


class HardSigmoid(Activation):
    """relu6(x + 3) / 6. (Of Keras 2 and TensorFlow there is another, of slope 0.2.)

    Source: Howard et al., Searching for MobileNetV3, https://arxiv.org/abs/1905.02244
    """

    op: Literal["hard_sigmoid"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.asarray(np.clip(inputs[0] + 3, 0, 6) / 6)


class HardSwish(Activation):
    """x relu6(x + 3) / 6.

    Source: Howard et al., Searching for MobileNetV3, https://arxiv.org/abs/1905.02244
    """

    op: Literal["hard_swish"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.asarray(inputs[0] * np.clip(inputs[0] + 3, 0, 6) / 6)


class SiLU(Activation):
    """x sigmoid(x), also called swish.

    Source: Ramachandran et al., Searching for Activation Functions,
    https://arxiv.org/abs/1710.05941
    """

    op: Literal["silu"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.asarray(inputs[0] * sigmoid(inputs[0]))


class GELU(Activation):
    """x times the normal distribution's cumulative function: x / 2 (1 + erf(x / sqrt 2)).

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, https://arxiv.org/abs/1606.08415
    """

    op: Literal["gelu"]

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        erf = np.vectorize(math.erf, otypes=[x.dtype])
        return np.asarray(x * (1 + erf(x / math.sqrt(2))) / 2)


def sigmoid(x: Array) -> Array:
    """Compute 1 / (1 + exp(-x)) without ever taking the exponential of a large number."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, x.dtype.type(1), small) / (1 + small))
