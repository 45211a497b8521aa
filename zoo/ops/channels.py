"""Operations that choose, order or add channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of, pair
from zoo.ops.fields import Natural, Naturals, Naturals2, Positive


class Slice(Op):
    """The channels from start to before stop. Attributes of the node: start, stop."""

    op: Literal["slice"]
    start: Natural = 0
    stop: Positive

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, *size = map_of(inputs[0])
        if not self.start < self.stop <= channels:
            raise ShapeError(
                f"there are channels 0 to {channels}, not from {self.start} to {self.stop}"
            )
        at = {"start": self.start, "stop": self.stop}
        return Inferred((self.stop - self.start, *size), at)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0][:, node.attributes["start"] : node.attributes["stop"]]


class Select(Op):
    """The channels of the given numbers, in that order. Attributes of the node: channels."""

    op: Literal["select"]
    channels: Naturals

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, *size = map_of(inputs[0])
        if beyond := [number for number in self.channels if number >= channels]:
            raise ShapeError(f"there is no channel {beyond[0]}; the last is {channels - 1}")
        return Inferred((len(self.channels), *size), {"channels": tuple(self.channels)})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0][:, node.attributes["channels"]]


class ChannelShuffle(Op):
    """The first channel of each group, then the second of each, and so on.

    Attributes of the node: groups.

    Source: Zhang et al., ShuffleNet, https://arxiv.org/abs/1707.01083
    """

    op: Literal["channel_shuffle"]
    groups: Positive

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, *_ = map_of(inputs[0])
        if channels % self.groups:
            raise ShapeError(f"{channels} channels are no multiple of {self.groups} groups")
        return Inferred(inputs[0], {"groups": self.groups})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,), groups = inputs, node.attributes["groups"]
        order = np.arange(x.shape[1]).reshape(groups, -1).T.ravel()
        return x[:, order]


class PadChannels(Op):
    """Channels of zeros before and after those there are.

    Attributes of the node: padding, (before, after).
    """

    op: Literal["pad_channels"]
    padding: Naturals2

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, *size = map_of(inputs[0])
        padding = pair(self.padding)
        return Inferred((sum(padding) + channels, *size), {"padding": padding})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.pad(inputs[0], ((0, 0), node.attributes["padding"], (0, 0), (0, 0)))
