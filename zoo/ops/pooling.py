"""Pooling: maximum, average, and the average over a whole map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of, pair
from zoo.ops.fields import Boolean, Padding, Pair
from zoo.ops.windows import Windows, pad, place, view


class _Pool(Op):
    kernel_size: Pair
    stride: Pair | None = None
    padding: Padding = 0
    ceil_mode: Boolean = False

    def _place(self, shape: Shape) -> tuple[Windows, dict[str, Any]]:
        _, height, width = map_of(shape)
        kernel = pair(self.kernel_size)
        stride = pair(self.kernel_size if self.stride is None else self.stride)
        at = place((height, width), kernel, stride, self.padding, ceil_mode=self.ceil_mode)
        if any(p >= k for p, k in zip(at.stated, (kernel[0],) * 2 + (kernel[1],) * 2, strict=True)):
            raise ShapeError(f"padding {list(at.stated)} leaves a window with nothing but padding")
        return at, {"kernel_size": kernel, "stride": stride, "padding": at.padding}


class MaxPool(_Pool):
    """The largest value of each window; padding never wins.

    Attributes of the node: kernel_size, stride, padding, and symmetric: ``(pad height, pad width,
    ceil_mode)`` with which PyTorch's and Paddle's own layer lays the same windows, or None.
    """

    op: Literal["max_pool"]

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        at, attributes = self._place(inputs[0])
        attributes["symmetric"] = _symmetric(inputs[0][1:], at, **attributes)
        return Inferred((inputs[0][0], *at.size), attributes)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        padded = pad(inputs[0], node.attributes["padding"], -np.inf)
        return np.asarray(view(padded, node.attributes).max(axis=(4, 5)))


class AvgPool(_Pool):
    """The mean of each window.

    Attributes of the node: kernel_size, stride, padding, and counts: how many values each window
    divides by, as one tuple for the rows and one for the columns (their product is the divisor),
    or None where that is the kernel's area everywhere. Stated padding counts if
    ``count_include_pad``; what ``ceil_mode`` adds beyond it never does.
    """

    op: Literal["avg_pool"]
    count_include_pad: Boolean = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        at, attributes = self._place(inputs[0])
        kernel, stride = attributes["kernel_size"], attributes["stride"]
        counts = []
        for axis in (0, 1):
            low, high = at.stated[2 * axis : 2 * axis + 2]
            if self.count_include_pad:
                begin, end = 0, low + inputs[0][1 + axis] + high
            else:
                begin, end = low, low + inputs[0][1 + axis]
            starts = [i * stride[axis] for i in range(at.size[axis])]
            counts.append(tuple(min(s + kernel[axis], end) - max(s, begin) for s in starts))
        full = all(c == k for axis, k in zip(counts, kernel, strict=True) for c in axis)
        attributes["counts"] = None if full else tuple(counts)
        return Inferred((inputs[0][0], *at.size), attributes)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        at, (x,) = node.attributes, inputs
        total = view(pad(x, at["padding"]), at).sum(axis=(4, 5))
        kernel, counts = at["kernel_size"], at["counts"]
        area = np.outer(*counts).astype(x.dtype) if counts else x.dtype.type(kernel[0] * kernel[1])
        return np.asarray(total / area)


class GlobalAvgPool(Op):
    """The mean of each channel, as a map of one pixel. No attributes."""

    op: Literal["global_avg_pool"]

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, _, _ = map_of(inputs[0])
        return Inferred((channels, 1, 1))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.asarray(inputs[0].mean(axis=(2, 3), keepdims=True))


class AdaptiveAvgPool(Op):
    """The mean of each of a given number of windows, which together cover the map.

    Window i of n spans from floor(i * size / n) to ceil((i + 1) * size / n), as PyTorch has it.
    Attributes of the node: output_size, and windows: (begin, end) of each, as one tuple for the
    rows and one for the columns.
    """

    op: Literal["adaptive_avg_pool"]
    output_size: Pair

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, *size = map_of(inputs[0])
        output = pair(self.output_size)
        windows = tuple(
            tuple((i * n // count, -(-(i + 1) * n // count)) for i in range(count))
            for n, count in zip(size, output, strict=True)
        )
        return Inferred((channels, *output), {"output_size": output, "windows": windows})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        rows, columns = node.attributes["windows"]
        means = [[inputs[0][:, :, a:b, c:d].mean(axis=(2, 3)) for c, d in columns] for a, b in rows]
        return np.asarray(means).transpose(2, 3, 0, 1)


def _symmetric(
    size: Shape,
    at: Windows,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> tuple[int, int, bool] | None:
    """Find the symmetric padding and rounding that lay the same windows, if there are any.

    What lies beyond the end of the map never wins a maximum, so only where the windows begin and
    how many there are matters. The frameworks take at most half a kernel of padding.
    """
    pads = (padding[0], padding[2])
    if any(p > k // 2 for p, k in zip(pads, kernel_size, strict=True)):
        return None
    axes = list(zip(size, pads, kernel_size, stride, at.size, strict=True))
    if all((n + 2 * p - k) // s + 1 == out for n, p, k, s, out in axes):
        return (*pads, False)
    if all(-(-(n + 2 * p - k) // s) + 1 == out for n, p, k, s, out in axes):
        return (*pads, True)
    return None
