"""Padding, rounding and windows of convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.graphs.shapes import text_of
from zoo.ops.base import Array, ShapeError


@dataclass(frozen=True)
class Windows:
    """The placement of the windows of a layer.

    Attributes:
        padding: (top, bottom, left, right), including the ceil extension.
        stated: The padding that the spec states, without the ceil extension.
        size: (height, width) of the output.
    """

    padding: tuple[int, int, int, int]
    stated: tuple[int, int, int, int]
    size: tuple[int, int]


def place(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: int | str | Sequence[int],
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> Windows:
    """Resolve padding and rounding.

    ``same`` is TensorFlow's rule: an output of ceil(size / stride), with the odd pixel at the end.
    With ``ceil_mode``, a last window that would start beyond the input and its leading padding is
    dropped, as in Caffe and PyTorch.

    Raises:
        ShapeError: The window is larger than the padded input.

    Example:
        >>> place((112, 112), (3, 3), (2, 2), 0, ceil_mode=True)
        Windows(padding=(0, 1, 0, 1), stated=(0, 0, 0, 0), size=(56, 56))
    """
    extents = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    if padding == "same":
        totals = [
            max((-(-n // s) - 1) * s + e - n, 0)
            for n, s, e in zip(size, stride, extents, strict=True)
        ]
        stated = [p for total in totals for p in (total // 2, total - total // 2)]
    else:
        assert not isinstance(padding, str)
        stated = list(four(padding))
    padded, out = list(stated), []
    for axis, (n, e, s) in enumerate(zip(size, extents, stride, strict=True)):
        low, high = stated[2 * axis : 2 * axis + 2]
        room = n + low + high - e
        if room < 0:
            window, area = text_of(extents), f"{size[0]}x{size[1]}"
            raise ShapeError(
                f"the {window} window is larger than its {area} input with padding {stated}"
            )
        count = room // s + 1
        if ceil_mode and room % s and count * s < n + low:
            count += 1
            padded[2 * axis + 1] += (count - 1) * s - room
        out.append(count)
    return Windows(four(padded), four(stated), (out[0], out[1]))


def four(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of a padding in any of its forms that are numbers.

    Example:
        >>> four(1), four([1, 2])
        ((1, 1, 1, 1), (1, 1, 2, 2))
    """
    values = [padding] * 4 if isinstance(padding, int) else [int(edge) for edge in padding]
    top, bottom, left, right = values if len(values) == 4 else (values[i] for i in (0, 0, 1, 1))
    return top, bottom, left, right


def rounding(windows: Windows, stride: tuple[int, int], padding: object, ceil: bool = False) -> Any:
    """Return the attributes that tell how the size of a layer's input decided its padding, if any.

    They are ``rounding``, ``same`` or ``ceil``, and for ``ceil`` also ``stated``: the padding
    without what rounding added. An input of another size may be padded in another way.
    """
    if stride == (1, 1) or not (ceil or padding == "same"):
        return {}
    return {"rounding": "ceil", "stated": windows.stated} if ceil else {"rounding": "same"}


def adaptive(size: int, count: int) -> list[tuple[int, int]]:
    """Return (begin, end) of each of ``count`` windows that together cover ``size`` values.

    Example:
        >>> adaptive(5, 3)
        [(0, 2), (1, 4), (3, 5)]
    """
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def pad(x: Array, padding: Sequence[int], value: float = 0.0) -> Array:
    """Pad the last two axes by (top, bottom, left, right)."""
    top, bottom, left, right = padding
    widths = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(x, widths, constant_values=value)


def cropped(x: Array, padding: Sequence[int]) -> Array:
    """Crop the last two axes where the padding is negative."""
    top, bottom, left, right = (max(-edge, 0) for edge in padding)
    height, width = x.shape[2:]
    return x[:, :, top : height - bottom, left : width - right]


def view(x: Array, attributes: Any) -> Array:
    """Return all windows of an already padded map, without copying.

    Returns:
        [N, C, out height, out width, kernel height, kernel width]
    """
    kernel, stride = attributes["kernel_size"], attributes["stride"]
    dilation = attributes.get("dilation", (1, 1))
    extents = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, extents, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
