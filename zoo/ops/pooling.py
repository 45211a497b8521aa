"""Pooling: maximum, average, and the average over a whole map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape, Shape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of, pair
from zoo.ops.cases import Case, Draw, boolean, integers, padding
from zoo.ops.fields import BOOLEAN, PADDING, PAIR
from zoo.ops.grammar import Field
from zoo.ops.kinds import Nullable
from zoo.ops.registry import operation
from zoo.ops.windows import Windows, adaptive, pad, place, rounding, view


class _Pool(Op):
    kernel_size = Field(PAIR)
    stride = Field(Nullable(PAIR), None, doc="by default, the kernel size")
    padding = Field(PADDING, 0)
    ceil_mode = Field(BOOLEAN, False)

    def _place(self, shape: Map, padding_only: bool = False) -> tuple[Windows, dict[str, Any]]:
        """Place the windows; ``padding_only`` allows some that contain nothing but padding."""
        kernel = pair(self.kernel_size)
        stride = pair(self.kernel_size if self.stride is None else self.stride)
        size = shape.height, shape.width
        windows = place(size, kernel, stride, self.padding, ceil_mode=self.ceil_mode)
        extents = (kernel[0],) * 2 + (kernel[1],) * 2
        alone = any(p >= k for p, k in zip(windows.stated, extents, strict=True))
        if alone and not padding_only:
            stated = list(windows.stated)
            raise ShapeError(f"with padding {stated}, a window consists only of padding")
        return windows, {
            "kernel_size": kernel,
            "stride": stride,
            "padding": windows.padding,
            **rounding(windows, stride, self.padding, self.ceil_mode),
        }

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        layer = {
            "op": cls.op,
            "kernel_size": integers(draw, 1, 4, 2),
            "stride": integers(draw, 1, 3, 2),
            "padding": padding(draw, 2),
            "ceil_mode": boolean(draw),
        }
        return Case(draw.integer(1, 3), [layer])


@operation("max_pool", family="pooling", words=("MaxPooling2D", "MaxPool2d", "max_pooling"))
class MaxPool(_Pool):
    """The largest value of each window; padding is never the largest.

    Attributes of the node: kernel_size, stride, padding, rounding (see ``conv``), and symmetric:
    ``(pad height, pad width, ceil_mode)`` with which PyTorch's and Paddle's own layer has the same
    windows, or None.
    """

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        shape = map_of(inputs[0])
        windows, attributes = self._place(shape)
        rounded = "rounding" in attributes
        kernel, stride = attributes["kernel_size"], attributes["stride"]
        attributes["symmetric"] = _symmetric(shape[1:], windows, kernel, stride, rounded)
        return Inferred(Map(shape.channels, *windows.size), attributes)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        padded = pad(inputs[0], node.attributes["padding"], -np.inf)
        return np.asarray(view(padded, node.attributes).max(axis=(4, 5)))


@operation(
    "avg_pool",
    family="pooling",
    words=("AveragePooling2D", "AvgPool2d", "AveragePool", "mean_pool"),
)
class AvgPool(_Pool):
    """The mean of each window; padding that `ceil_mode` adds is never counted.

    Attributes of the node: kernel_size, stride, padding, rounding (see ``conv``), and counted: the
    part of the padding that counts, as (top, bottom, left, right), or None where all of it does and
    so each window divides by the kernel's area.
    """

    count_include_pad = Field(BOOLEAN, True)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        shape = map_of(inputs[0])
        # The mean of padding alone is 0 where padding counts, and else not defined.
        windows, attributes = self._place(shape, padding_only=self.count_include_pad)
        counted = windows.stated if self.count_include_pad else (0, 0, 0, 0)
        attributes["counted"] = None if counted == windows.padding else counted
        return Inferred(Map(shape.channels, *windows.size), attributes)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        attributes, (x,) = node.attributes, inputs
        mean: Array = view(pad(x, attributes["padding"]), attributes).mean(axis=(4, 5))
        counted = attributes["counted"]
        if counted is None:
            return mean
        ones = pad(np.ones_like(x[:1, :1]), counted, 1.0)
        beyond = [p - c for p, c in zip(attributes["padding"], counted, strict=True)]
        part: Array = view(pad(ones, beyond), attributes).mean(axis=(4, 5))
        return mean / part

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        channels, (layer,) = super().cases(draw)
        return Case(channels, [{**layer, "count_include_pad": boolean(draw)}])


@operation(
    "global_avg_pool",
    family="pooling",
    words=("GlobalAveragePooling2D", "GlobalAveragePool", "GlobalAvgPool2d"),
)
class GlobalAvgPool(Op):
    """The mean of each channel, as a map of one pixel.

    No attributes.
    """

    fixes_size = True

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        return Inferred(Map(map_of(inputs[0]).channels, 1, 1))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.asarray(inputs[0].mean(axis=(2, 3), keepdims=True))


@operation(
    "adaptive_avg_pool",
    family="pooling",
    words=("AdaptiveAvgPool2d", "AdaptiveAveragePooling2D", "AdaptiveAveragePool"),
)
class AdaptiveAvgPool(Op):
    """The mean of each of a given number of windows, which together cover the map.

    Window i of n spans from floor(i * size / n) to ceil((i + 1) * size / n), as in PyTorch.
    Attributes of the node: output_size.
    """

    fixes_size = True

    output_size = Field(PAIR)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        output = pair(self.output_size)
        return Inferred(Map(map_of(inputs[0]).channels, *output), {"output_size": output})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,), (height, width) = inputs, node.attributes["output_size"]
        rows, columns = adaptive(x.shape[2], height), adaptive(x.shape[3], width)
        means = [[x[:, :, a:b, c:d].mean(axis=(2, 3)) for c, d in columns] for a, b in rows]
        return np.asarray(means).transpose(2, 3, 0, 1)

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        return Case(draw.integer(1, 3), [{"op": cls.op, "output_size": integers(draw, 1, 5, 2)}])


def _symmetric(
    size: Shape,
    windows: Windows,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    rounded: bool,
) -> tuple[int, int, bool] | None:
    """Find the symmetric padding and rounding that give the same windows, if there are any.

    They also do so for every other size that is padded in the same way. Padding is never the
    maximum, so only the starts and the number of the windows matter. The frameworks allow padding
    of at most half a kernel.
    """
    top, bottom, left, right = windows.padding
    if top > kernel_size[0] // 2 or left > kernel_size[1] // 2:
        return None
    if (top, left) == (bottom, right):
        return top, left, False
    # What rounding added ends where the last window ends, whatever the size.
    axes = list(zip(size, (top, left), kernel_size, stride, windows.size, strict=True))
    if rounded and all((n + 2 * p - k) // s + 1 == out for n, p, k, s, out in axes):
        return top, left, False
    if rounded and all(-(-(n + 2 * p - k) // s) + 1 == out for n, p, k, s, out in axes):
        return top, left, True
    return None
