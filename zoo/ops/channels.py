"""Operations that choose, order or add channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of, pair
from zoo.ops.cases import Case, Draw, integers
from zoo.ops.fields import BEFORE_AFTER, NATURAL, NATURALS, POSITIVE
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation("slice", family="arranging", words=("narrow",))
class Slice(Op):
    """The channels from `start` up to, but not including, `stop`.

    Attributes of the node: start, stop.
    """

    start = Field(NATURAL, 0)
    stop = Field(POSITIVE)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        shape = map_of(inputs[0])
        channels = shape.channels
        if not self.start < self.stop <= channels:
            raise ShapeError(
                f"cannot slice channels {self.start} to {self.stop} of {channels} channels"
            )
        attributes = {"start": self.start, "stop": self.stop}
        return Inferred(shape._replace(channels=self.stop - self.start), attributes)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0][:, node.attributes["start"] : node.attributes["stop"]]

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        channels = draw.integer(2, 6)
        start = draw.integer(0, channels - 1)
        stop = draw.integer(start + 1, channels)
        return Case(channels, [{"op": cls.op, "start": start, "stop": stop}])


@operation("select", family="arranging", words=("index_select",))
class Select(Op):
    """The channels of the given numbers, in that order.

    Attributes of the node: channels.
    """

    channels = Field(NATURALS)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        shape = map_of(inputs[0])
        last = shape.channels - 1
        if beyond := [number for number in self.channels if number > last]:
            raise ShapeError(f"no channel {beyond[0]}; the last one is {last}")
        channels = tuple(self.channels)
        return Inferred(shape._replace(channels=len(channels)), {"channels": channels})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0][:, node.attributes["channels"]]

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        channels = draw.integer(1, 5)
        chosen = integers(draw, 0, channels - 1, draw.integer(1, 7))
        return Case(channels, [{"op": cls.op, "channels": chosen}])


@operation("channel_shuffle", family="arranging", words=("ShuffleChannel", "shuffle_channels"))
class ChannelShuffle(Op):
    """The first channel of each group, then the second of each, and so on.

    Attributes of the node: groups.

    Source: Zhang et al., ShuffleNet, https://arxiv.org/abs/1707.01083
    """

    groups = Field(POSITIVE)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        channels, *_ = map_of(inputs[0])
        if channels % self.groups:
            raise ShapeError(f"{channels} channels are not a multiple of {self.groups} groups")
        return Inferred(inputs[0], {"groups": self.groups})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,), groups = inputs, node.attributes["groups"]
        order = np.arange(x.shape[1]).reshape(groups, -1).T.ravel()
        return x[:, order]

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        groups = draw.integer(1, 4)
        return Case(groups * draw.integer(1, 3), [{"op": cls.op, "groups": groups}])


@operation("pad_channels", family="arranging")
class PadChannels(Op):
    """Adds channels of zeros before and after those of the input.

    Attributes of the node: padding, (before, after).
    """

    padding = Field(BEFORE_AFTER, doc="a number or [before, after]")

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        shape, padding = map_of(inputs[0]), pair(self.padding)
        channels = shape.channels + sum(padding)
        return Inferred(shape._replace(channels=channels), {"padding": padding})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.pad(inputs[0], ((0, 0), node.attributes["padding"], (0, 0), (0, 0)))

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        padding = draw.choice(([1, 2], [0, 3], 1))
        return Case(draw.integer(1, 3), [{"op": cls.op, "padding": padding}])
