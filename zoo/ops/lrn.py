"""Local response normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of
from zoo.ops.cases import Case, Draw
from zoo.ops.fields import NUMBER, POSITIVE
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation(
    "lrn",
    family="normalization",
    words=("LocalResponseNorm", "local_response_norm", "LocalResponseNormalization"),
)
class LRN(Op):
    """Local response normalization: x / (k + alpha / size · Σ x²)^beta, over `size` channels.

    Alpha is divided by the size, as in Caffe, PyTorch and ONNX. TensorFlow's and the AlexNet
    paper's are not divided.

    Attributes of the node: size, alpha, beta, k.

    Source: Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012
    """

    size = Field(POSITIVE)
    alpha = Field(NUMBER, 1e-4)
    beta = Field(NUMBER, 0.75)
    k = Field(NUMBER, 1.0)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        map_of(inputs[0])
        if self.size % 2 == 0:
            raise ShapeError(f"size must be odd, so that the window has a middle, got {self.size}")
        if self.k <= 0 or self.alpha < 0:
            raise ShapeError(f"k must be above 0 and alpha at least 0, got {self.k}, {self.alpha}")
        numbers = {"alpha": float(self.alpha), "beta": float(self.beta), "k": float(self.k)}
        return Inferred(inputs[0], {"size": self.size, **numbers})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,), attributes = inputs, node.attributes
        size, alpha = attributes["size"], attributes["alpha"]
        half = size // 2
        squares = np.pad(x * x, ((0, 0), (half, half), (0, 0), (0, 0)))
        total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
        return np.asarray(x / (attributes["k"] + alpha / size * total) ** attributes["beta"])

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        layer = {
            "op": cls.op,
            "size": draw.choice((1, 3, 5, 7)),
            "alpha": draw.choice((1e-4, 0.3, 5.0)),
            "beta": draw.choice((0.75, 0.5, 1.0)),
            "k": draw.choice((1.0, 2.0)),
        }
        return Case(draw.integer(1, 9), [layer])
