"""Chooses input sizes at which a network can be verified."""

from __future__ import annotations

from zoo.graphs.graph import Graph
from zoo.language import graphs
from zoo.verification import memory

_SIDES = (64, 80, 96, 112, 128, 160, 192, 224)
_FRACTIONS = (0.75, 0.5, 0.35, 0.25, 0.15)  # of the network's own height and width


def smaller(graph: Graph) -> tuple[int, int]:
    """Return the smallest common input size that a network supports, or its own size."""
    default: tuple[int, int] = tuple(graph.options["input_size"])
    for side in _SIDES:
        if side >= max(default):
            break
        size = (side, side)
        if graphs.takes(graph, input_size=size):
            return size
    return default


def fit_to_memory(graph: Graph, itemsize: int) -> tuple[Graph, tuple[str, ...]]:
    """Expand a spec for the largest input size whose verification fits into memory.

    Args:
        graph: The network at the requested size.
        itemsize: Bytes per weight.

    Returns:
        The graph, and a note for the report if the size is not the requested one.

    Raises:
        NotEnoughMemoryError: No size fits.
    """
    free = 0.6 * memory.available()
    if memory.needed(graph, itemsize) <= free:
        return graph, ()
    height, width = graph.options["input_size"]
    for fraction in _FRACTIONS:
        size = (round(height * fraction), round(width * fraction))
        if not graphs.takes(graph, input_size=size):
            break
        reduced = graphs.with_options(graph, input_size=size)
        if memory.needed(reduced, itemsize) <= free:
            note = f"at {size[0]}x{size[1]} instead of {height}x{width}, to fit into memory"
            return reduced, (note,)
    raise memory.NotEnoughMemoryError(
        f"{graph.name}: verification needs about {memory.needed(graph, itemsize) / 2**30:.1f} GiB, "
        f"and {free / 2**30:.1f} GiB is available; give a smaller input_size"
    )
