"""Conversions between the canonical layout and layouts with channels, or outputs, last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np

from zoo.graphs.shapes import Shape

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def channels_first(value: Array, layout: Shape | None = None) -> Array:
    """Copy a value to the canonical layout.

    Args:
        value: A map [N, H, W, C], or a vector [N, features].
        layout: ``(C, H, W)`` if the vector is a map that was flattened in HWC order.

    Returns:
        [N, C, H, W], or [N, features] in CHW order; a contiguous copy.

    Example:
        >>> channels_first(np.arange(6).reshape(1, 6), (2, 1, 3))
        array([[0, 2, 4, 1, 3, 5]])
    """
    if layout:
        channels, height, width = layout
        value = value.reshape(-1, height, width, channels)
    if value.ndim == 4:
        value = value.transpose(0, 3, 1, 2)
    return np.array(value.reshape(len(value), -1) if layout else value, order="C")


def channels_last(value: Array, layout: Shape | None = None) -> Array:
    """Undo :func:`channels_first`.

    Args:
        value: A map [N, C, H, W], or a vector [N, features].
        layout: ``(C, H, W)`` if the vector is a map that was flattened.

    Returns:
        [N, H, W, C], or [N, features] in HWC order; a contiguous copy.

    Example:
        >>> channels_last(np.array([[0, 2, 4, 1, 3, 5]]), (2, 1, 3))
        array([[0, 1, 2, 3, 4, 5]])
    """
    if layout:
        value = value.reshape(-1, *layout)
    if value.ndim == 4:
        value = value.transpose(0, 2, 3, 1)
    return np.array(value.reshape(len(value), -1) if layout else value, order="C")


def outputs_last(kernel: Array, layout: Shape | None = None) -> Array:
    """Copy a canonical kernel to the layout of frameworks that have outputs last.

    Args:
        kernel: A convolution's [O, I, H, W] or a linear layer's [O, I].
        layout: ``(C, H, W)`` if the linear layer reads a flattened map.

    Returns:
        [H, W, I, O] or [I, O], with the inputs of a flattened map in HWC order; a copy.

    Example:
        >>> outputs_last(np.arange(6).reshape(1, 6), (2, 1, 3)).ravel()
        array([0, 3, 1, 4, 2, 5])
    """
    outputs, inputs, *window = kernel.shape
    channels = layout[0] if layout else inputs if window else 1
    reversed_ = _reverse(kernel.reshape(outputs, channels, -1))
    return reversed_.reshape(*window, inputs, outputs)


def outputs_first(kernel: Array, layout: Shape | None = None) -> Array:
    """Undo :func:`outputs_last`; returns a copy."""
    *window, inputs, outputs = kernel.shape
    channels = layout[0] if layout else inputs if window else 1
    reversed_ = _reverse(kernel.reshape(-1, channels, outputs))
    return reversed_.reshape(outputs, inputs, *window)


def _reverse(array: Array) -> Array:
    """Copy an array with its three axes in reverse order."""
    out, view = np.empty(array.shape[::-1], array.dtype), array.T
    if array.size < 1 << 18:
        out[...] = view
        return out
    # Copied in blocks that fit the cache: reads are along one axis, writes along another.
    first, last = min(256, out.shape[0]), min(256, out.shape[2])
    steps = first, max(1, (1 << 18) // (first * last)), last

    def copy(start: tuple[int, ...]) -> None:
        block = tuple(slice(a, a + step) for a, step in zip(start, steps, strict=True))
        out[block] = view[block]

    starts = product(*(range(0, n, step) for n, step in zip(out.shape, steps, strict=True)))
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(copy, starts))
    return out
