"""The padding mode ``same`` of TensorFlow and Keras, where it stands for a node's padding."""

from __future__ import annotations

from typing import Any

from zoo.graphs.nodes import Node


def padding(node: Node) -> tuple[tuple[int, ...], str]:
    """Return the explicit padding of a node, and Keras' padding mode for the padded input.

    ``same`` stands for padding that it would give at every size at which the node has this padding.
    A convolution reads the padding at the end of a map as zeros, and a maximum ignores it.

    Returns:
        Top, bottom, left, right; and ``valid`` or ``same``.
    """
    edges: tuple[int, ...] = node.attributes["padding"]
    if any(edges) and all(_is_same(node.attributes, axis) for axis in (0, 1)):
        return (0, 0, 0, 0), "same"
    return edges, "valid"


def _is_same(attrs: Any, axis: int) -> bool:
    dilation, stride = attrs.get("dilation", (1, 1)), attrs["stride"][axis]
    extent = dilation[axis] * (attrs["kernel_size"][axis] - 1) + 1
    ends = slice(2 * axis, 2 * axis + 2)
    begin, end = attrs["padding"][ends]
    # What rounding up adds ends where the last window ends.
    ends_with_window = "rounding" in attrs and (
        "stated" not in attrs or end > attrs["stated"][ends][1]
    )
    if (stride == 1 and begin + end == extent - 1) or ends_with_window:
        return bool(begin == (begin + end) // 2 and 0 < extent - begin - end <= stride)
    return False
