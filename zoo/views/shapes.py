"""Shapes and attributes in the notation of papers."""

from __future__ import annotations

from typing import Any

from zoo.graphs.shapes import Shape, text_of


def height_width_channels(shape: Shape) -> str:
    """Write a shape as papers do, with the channels last.

    Example:
        >>> height_width_channels((64, 112, 112)), height_width_channels((1000,))
        ('112x112x64', '1000')
    """
    return text_of((*shape[1:], shape[0]))


def value_text(value: Any) -> str:
    """Write an attribute's value.

    Example:
        >>> value_text((3, 3)), value_text((0, 1, 0, 1)), value_text((2, 2, 2, 2)), value_text(True)
        ('3x3', '[0, 1, 0, 1]', '2', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and len(set(value)) == 1 and len(value) > 2:
        return str(value[0])  # the same padding on all sides
    if isinstance(value, tuple) and len(value) == 4:
        return str(list(value))  # padding: top, bottom, left, right
    if isinstance(value, tuple | list):
        return ("x" if all(isinstance(v, int) for v in value) else ", ").join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
