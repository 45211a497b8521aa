"""Operations of several inputs: concatenation, sum and product."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape, text_of
from zoo.ops.base import Array, Inferred, Op, ShapeError, channels_of, with_channels
from zoo.ops.cases import Case, Draw
from zoo.ops.registry import operation


class _Join(Op):
    arity = (1, 1000)

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        sources = [draw.choice(("input", "a", "b")) for _ in range(draw.integer(1, 4))]
        layers: list[dict[str, Any]] = [
            {"name": "a", "op": "relu", "from": "input"},
            {"name": "b", "op": "dropout", "rate": 0.5, "from": "input"},
        ]
        used = [layer for layer in layers if layer["name"] in sources]
        last = {"name": "j", "op": cls.op, "from": sources}
        return Case(draw.integer(1, 3), [*used, last])


@operation("concat", family="joining", words=("Concatenate", "cat", "concatenation"))
class Concat(_Join):
    """Joins the inputs along the channels.

    No attributes.
    """

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        if len({with_channels(shape, 1) for shape in inputs}) > 1:
            sizes = ", ".join(map(text_of, inputs))
            raise ShapeError(f"branches of different sizes cannot be joined: {sizes}")
        if layout:
            raise ShapeError("flattened maps cannot be joined; join the maps, then flatten")
        return Inferred(with_channels(inputs[0], sum(map(channels_of, inputs))))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.concatenate(inputs, axis=1)


@operation("add", family="joining", words=("Eltwise", "elementwise_add", "plus", "addition"))
class Add(_Join):
    """The sum of inputs of the same shape.

    No attributes.
    """

    elementwise = True

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        if len(set(inputs)) > 1:
            sizes = ", ".join(map(text_of, inputs))
            raise ShapeError(f"only inputs of the same shape can be added, got {sizes}")
        return Inferred(inputs[0], layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total


@operation("multiply", family="joining", words=("Mul", "elementwise_mul", "times", "product"))
class Multiply(_Join):
    """The product of inputs of the same shape, or of a map and one value for each channel.

    The latter is the gate of squeeze-and-excitation. No attributes.
    """

    elementwise = True

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        largest = max(inputs, key=math.prod)
        gate = Map(largest.channels, 1, 1) if isinstance(largest, Map) else largest
        if not set(inputs) <= {largest, gate}:
            sizes = ", ".join(map(text_of, inputs))
            raise ShapeError(
                f"only inputs of the same shape, or of one pixel, can be multiplied, got {sizes}"
            )
        return Inferred(largest, layout=layout)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = inputs[0]
        for x in inputs[1:]:
            total = total * x
        return total

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        """Draw products of a map with itself and one value for each channel, in either order."""
        sources = draw.choice((["input"], ["s"], ["input", "s"], ["s", "input"]))
        sources = sources + ["input"] * draw.integer(0, 2)
        inner = {"p": {"op": "global_avg_pool"}, "g": {"op": "sigmoid"}}
        gate: dict[str, Any] = {"name": "s", "from": "input", "layers": inner}
        last = {"name": "j", "op": cls.op, "from": sources}
        return Case(draw.integer(1, 3), [*([gate] if "s" in sources else []), last])
