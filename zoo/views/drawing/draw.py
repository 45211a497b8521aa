"""``zoo.draw``: drawings of networks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, Unpack

from zoo import arguments
from zoo.errors import InputError
from zoo.files import write_text
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.views.arguments import GraphOptions, graph_to_show
from zoo.views.drawing import page, svg
from zoo.views.drawing.block_labels import Captions
from zoo.views.drawing.folding import fold
from zoo.views.drawing.scene import Box, Frame
from zoo.views.shapes import height_width_channels


@dataclass(frozen=True, repr=False)
class Drawing:
    """A drawing of a network; see :func:`draw`. Notebooks display it.

    Attributes:
        heading: Name of the model, and of the block if only that is drawn.
        facts: Its input, parameters and MACs, in one line.
        scene: What is drawn, as data.
        columns: The largest number of columns; None for the number that fits a page best.
    """

    heading: str
    facts: str
    scene: Frame
    columns: int | None = None

    @classmethod
    def of(
        cls,
        graph: Graph,
        depth: int | None = 1,
        block: str | None = None,
        columns: int | None = None,
        captions: Captions | None = None,
    ) -> Self:
        """Draw a graph; see :func:`draw`. Networks that are compared have captions together."""
        part = graph.root if block is None else graph[block]
        if not isinstance(part, Block):
            raise InputError(f"{block!r} of {graph.name} is one operation; give a block to draw")
        size = height_width_channels(part.input_shape)
        return cls(
            heading=graph.name if block is None else f"{graph.name}: {block}",
            facts=f"input {size}, {part.num_parameters:,} parameters, {part.macs:,} MACs",
            scene=fold(graph, part, depth, captions),
            columns=columns,
        )

    @cached_property
    def svg(self) -> str:
        """The picture as an SVG document."""
        about = f"{self.heading}: {self.facts}. {_description(self.scene)}"
        return svg.write(page.fit(self.scene, self.columns), self.heading, self.facts, about)

    def to_dict(self) -> dict[str, Any]:
        """Return what is drawn as plain data for JSON."""
        return {"heading": self.heading, "facts": self.facts, "scene": self.scene.to_dict()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file.

        Raises:
            InputError: The file cannot be written, or its name does not end in ``.svg``.
        """
        path = arguments.path("path", path)
        if Path(path).suffix.lower() != ".svg":
            raise InputError(f"{path}: drawings are SVG; give a name ending in .svg")
        write_text(path, self.svg)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:  # as an image, it would be cut off at the edge of a notebook
        return f"<div>{self.svg}</div>"

    def __str__(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing of {self.heading}: {self.facts}>"


def draw(
    model: str | os.PathLike[str] | Graph | Any,
    path: str | os.PathLike[str] | None = None,
    *,
    depth: int | None = 1,
    block: str | None = None,
    columns: int | None = None,
    **options: Unpack[GraphOptions],
) -> Drawing:
    """Draw a network: its blocks, what each computes, and the shapes between them.

    No framework is imported.

    Args:
        model: The name of a model, the path of a YAML file, a graph, or a model that zoo built.
        path: Where to save the picture; it is not saved if not given.
        depth: How many levels of blocks to show; None shows all.
        block: Path name of a block, to draw only that.
        columns: The largest number of columns; open blocks then stay in one piece. By default, the
            number that fits a page best; long open blocks are then broken into columns, too.
        **options: Options of :func:`zoo.graph`, for a name or a file: aux, num_classes,
            in_channels, input_size.

    Returns:
        A drawing. Notebooks display it, ``str`` returns the SVG, ``save`` writes it to a file, and
        ``to_dict`` returns what is drawn as data.

    Raises:
        UnknownNameError: There is no such model or block.
        SpecError: The spec is wrong or does not fit this input.
        InputError: An option has an invalid value, or the file cannot be written.
        BackendError: The model was not built by zoo.

    Example:
        >>> import zoo
        >>> drawing = zoo.draw("googlenet", depth=3, aux=True)
        >>> str(drawing)[:40]
        '<svg xmlns="http://www.w3.org/2000/svg" '
        >>> zoo.draw("lenet5")
        <Drawing of lenet5: input 32x32x1, 60,840 parameters, 326,520 MACs>
    """
    graph = graph_to_show("draw", model, options)
    depth = arguments.positive("depth", depth)
    columns = arguments.positive("columns", columns)
    drawing = Drawing.of(graph, depth, block, columns)
    if path is not None:
        drawing.save(path)
    return drawing


def _description(scene: Frame) -> str:
    """Describe the contents of a drawing in words."""
    steps = [
        f"{item.title} ({item.shape})" if isinstance(item, Box) and item.shape else item.title
        for item in scene.items
    ]
    return f"In order: {', '.join(steps)}."
