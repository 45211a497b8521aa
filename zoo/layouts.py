"""From the layout of frameworks that compute channels last to the canonical one."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.network import Shape

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def channels_first(value: Array, layout: Shape | None = None) -> Array:
    """Copy a value to the canonical layout.

    Args:
        value: A map [N, H, W, C], or a vector [N, features].
        layout: ``(C, H, W)`` if the vector is a flattened map, held in HWC order.

    Returns:
        [N, C, H, W], or [N, features] in CHW order, contiguous and in memory of its own.

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
