"""The verb: a network as a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from zoo.errors import InputError
from zoo.files import write_text
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph, graph_of
from zoo.language.graphs import graph as graph_named
from zoo.views.drawing import page, svg
from zoo.views.drawing.boxes import Box, boxes
from zoo.views.drawing.layout import Place
from zoo.views.drawing.words import shown


class Drawing:
    """A picture of a network, as SVG; a notebook shows it.

    Attributes:
        svg: The document.
    """

    def __init__(
        self,
        graph: Graph,
        depth: int | None = 1,
        block: str | None = None,
        columns: int | None = None,
    ) -> None:
        shown_block = graph.root if block is None else graph[block]
        if not isinstance(shown_block, Block):
            raise InputError(f"{block!r} of {graph.name} is one operation; give a block to draw")
        place = page.fitted(boxes(graph, shown_block, depth), columns)
        heading = graph.name if block is None else f"{graph.name}: {block}"
        facts = (
            f"input {shown(shown_block.input_shape)}, {shown_block.num_parameters:,} parameters, "
            f"{shown_block.macs:,} MACs"
        )
        self.svg = svg.write(place, heading, facts, f"{heading}: {facts}. {_told(place)}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file.

        Raises:
            InputError: It cannot be written, or its name ends in something else than ``.svg``.
        """
        if Path(path).suffix.lower() != ".svg":
            raise InputError(f"{os.fspath(path)}: pictures are SVG; give a name ending in .svg")
        write_text(path, self.svg)

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.svg


def draw(
    network: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    depth: int | None = 1,
    block: str | None = None,
    columns: int | None = None,
    **options: Any,
) -> Drawing:
    """Draw a network: its blocks, what each computes, and the shapes between them.

    Args:
        network: A model zoo ships, the path of a YAML file, a graph, or a model that zoo built.
        path: Where to save the picture, if anywhere.
        depth: How many levels of blocks to show; None opens all.
        block: Path name of a block, to draw that alone.
        columns: In how many columns at most, every open block in one piece; without it, as many as
            suit a page, long open blocks in columns too.
        **options: Of :func:`zoo.graph`, for a name or a file.

    Returns:
        A drawing: a notebook shows it, ``str`` gives the SVG, and ``save`` writes it.

    Raises:
        UnknownNameError: No such model or block.
        InputError: An option cannot be, or the file cannot be written.

    Example:
        >>> import zoo
        >>> drawing = zoo.draw("googlenet", depth=3, aux=True)
        >>> str(drawing)[:40]
        '<svg xmlns="http://www.w3.org/2000/svg" '
    """
    if isinstance(network, (str, os.PathLike)):
        graph = graph_named(network, **options)
    elif options:
        raise InputError(f"{', '.join(options)}: a network that is built has its options")
    else:
        graph = network if isinstance(network, Graph) else graph_of(network)
    for name, value in (("depth", depth), ("columns", columns)):
        if value is not None and (type(value) is not int or value < 1):
            raise InputError(f"{name} must be None or an integer of at least 1, got {value!r}")
    drawing = Drawing(graph, depth, block, columns)
    if path is not None:
        drawing.save(Path(path))
    return drawing


def _told(place: Place) -> str:
    """What is in a picture, in words."""
    items = (inner.item for inner in place.inside)
    steps = [f"{i.title} ({i.shape})" if isinstance(i, Box) and i.shape else i.title for i in items]
    return f"In order: {', '.join(steps)}."
