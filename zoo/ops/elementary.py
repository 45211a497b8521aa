"""Operations without weights that join, reshape or act on each value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape, text_of
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of
from zoo.ops.fields import Number, Rate


class Dropout(Op):
    """In training sets values to 0 with probability rate and divides the rest by 1 - rate.

    In evaluation it does nothing. Attributes of the node: rate.
    """

    op: Literal["dropout"]
    rate: Rate
    elementwise = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if self.rate == 1:
            raise ShapeError("a rate of 1 drops everything; expected less")
        return Inferred(inputs[0], {"rate": float(self.rate)}, layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0]


class StochasticDepth(Op):
    """In training sets all values of an example to 0 with probability rate, or divides by 1 - rate.

    In evaluation it does nothing. Attributes of the node: rate.

    Source: Huang et al., Deep Networks with Stochastic Depth, https://arxiv.org/abs/1603.09382
    """

    op: Literal["stochastic_depth"]
    rate: Rate
    elementwise = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if self.rate == 1:
            raise ShapeError("a rate of 1 drops everything; expected less")
        return Inferred(inputs[0], {"rate": float(self.rate)}, layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0]


class Scale(Op):
    """Every value times a constant. Attributes of the node: factor.

    After a dropout of rate r, a factor of 1 - r makes the dropout that Caffe's successors call
    ``downscale_in_infer``: in training it only drops, in evaluation it multiplies by 1 - r.
    """

    op: Literal["scale"]
    factor: Number
    elementwise = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        return Inferred(inputs[0], {"factor": float(self.factor)}, layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0] * inputs[0].dtype.type(node.attributes["factor"])


class Flatten(Op):
    """A map as a vector, in CHW order. No attributes; the node's layout says what it was."""

    op: Literal["flatten"]

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, height, width = map_of(inputs[0])
        # A one-pixel map is the same vector in either order.
        kept = inputs[0] if height * width > 1 and channels > 1 else None
        return Inferred((math.prod(inputs[0]),), layout=kept)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0].reshape(len(inputs[0]), -1)


class Concat(Op):
    """Inputs one after the other along channels. No attributes."""

    op: Literal["concat"]
    arity = (1, 1000)

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if len({shape[1:] for shape in inputs}) > 1:
            sizes = ", ".join(map(text_of, inputs))
            raise ShapeError(f"branches of different sizes cannot be joined: {sizes}")
        if layout:
            raise ShapeError("flattened maps cannot be joined; join the maps, then flatten")
        return Inferred((sum(shape[0] for shape in inputs), *inputs[0][1:]))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.concatenate(inputs, axis=1)


class Add(Op):
    """The sum of inputs of one shape. No attributes."""

    op: Literal["add"]
    arity = (1, 1000)
    elementwise = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if len(set(inputs)) > 1:
            sizes = ", ".join(map(text_of, inputs))
            raise ShapeError(f"only inputs of one shape can be added, got {sizes}")
        return Inferred(inputs[0], layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total


class Multiply(Op):
    """The product of inputs of one shape, or of a map and one value a channel. No attributes."""

    op: Literal["multiply"]
    arity = (1, 1000)
    elementwise = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        largest = max(inputs, key=math.prod)
        one = (largest[0], 1, 1) if len(largest) == 3 else largest
        if not set(inputs) <= {largest, one}:
            sizes = ", ".join(map(text_of, inputs))
            raise ShapeError(
                f"only inputs of one shape, or of one pixel a channel, can be multiplied: {sizes}"
            )
        return Inferred(largest, layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = inputs[0]
        for x in inputs[1:]:
            total = total * x
        return total
