"""A summary as data: a row for each block or layer, computed figures next to published ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from zoo.graphs.blocks import Block
from zoo.graphs.frozen import freeze
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.graphs.published import NOTES, agrees
from zoo.graphs.serialization import plain
from zoo.views.shapes import height_width_channels

#: Operations with weights that papers count as layers of a network's depth.
_LAYERS_OF_DEPTH = ("conv", "linear")
NOT_EXPLAINED = "not explained"


@dataclass(frozen=True)
class Row:
    """One line of a summary.

    Attributes:
        name: Path name; empty for the whole network.
        kind: Name of the block in the spec, or of the operation.
        output: Shape of the output as papers write it, height x width x channels.
        depth: Number of layers with weights on the longest path through it.
        params: Number of trainable values.
        ops: Multiply-accumulates for one example.
        published: The paper's figures, in its notation, by the names above.
        disagreeing: Names of the published figures that contradict the computed ones.
        notes: Name of a disagreeing figure -> the reason, if it is known.
    """

    name: str
    kind: str
    output: str
    depth: int
    params: int
    ops: int
    published: Mapping[str, Any] = field(default_factory=dict)
    disagreeing: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class SummaryData:
    """The rows of a network.

    Attributes:
        model: Name of the model.
        input_shape: ``(channels, height, width)`` of its input.
        options: The options that it was built with.
        rows: A row for each block and layer that is shown.
        total: The whole network.
    """

    model: str
    input_shape: tuple[int, int, int]
    options: Mapping[str, Any]
    rows: tuple[Row, ...]
    total: Row

    @classmethod
    def of(cls, graph: Graph, depth: int | None = 1) -> Self:
        """Summarize a graph.

        Args:
            graph: The network.
            depth: How many levels of blocks to open; None opens all.
        """
        return cls(
            model=graph.name,
            input_shape=graph.input_shape,
            options=graph.options,
            rows=tuple(_row(graph, child) for child in _children(graph.root, depth)),
            total=_row(graph, graph.root),
        )

    @property
    def num_parameters(self) -> int:
        """Number of trainable values of the network."""
        return self.total.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a forward pass of one example."""
        return self.total.ops

    @property
    def disagreements(self) -> list[str]:
        """A sentence for each published figure that contradicts the computed one.

        For the paper's own network these are errors of the paper, with the reason if it is known.
        For a variant they are usually its differences from the paper.
        """
        return [
            f"{disagreement(row, figure)} ({row.notes.get(figure, NOT_EXPLAINED)})"
            for row in (*self.rows, self.total)
            for figure in row.disagreeing
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "options": plain(self.options),
            "num_parameters": self.num_parameters,
            "macs": self.macs,
            "rows": plain(self.rows),
            "total": plain(self.total),
            "disagreements": self.disagreements,
        }


def disagreement(row: Row, figure: str) -> str:
    """Describe how a published figure differs from the computed one."""
    value = getattr(row, figure)
    computed = f"{value:,}" if isinstance(value, int) else value
    name = row.name or row.kind
    return f"{name}: the paper's {figure} of {row.published[figure]}, computed {computed}"


def _children(block: Block, depth: int | None) -> Iterator[Node | Block]:
    for step in block.steps:
        child = step.child
        yield child
        if isinstance(child, Block) and (depth is None or depth > 1):
            yield from _children(child, None if depth is None else depth - 1)


def _row(graph: Graph, child: Node | Block) -> Row:
    computed: dict[str, Any] = {
        "output": height_width_channels(child.shape),
        "depth": _depth(child),
        "params": child.num_parameters,
        "ops": child.macs,
    }
    published = dict(graph.published.get(child.name, {}))
    reasons = published.pop(NOTES, {})
    disagreeing = tuple(k for k, v in published.items() if not _agrees(computed[k], v))
    return Row(
        name=child.name,
        kind=child.kind if isinstance(child, Block) else child.op,
        **computed,
        published=freeze(published),
        disagreeing=disagreeing,
        notes=freeze({figure: reasons[figure] for figure in disagreeing if figure in reasons}),
    )


def _agrees(computed: Any, published: object) -> bool:
    if isinstance(computed, str):
        # Papers write a vector as a map of one pixel.
        return computed.removeprefix("1x1x") == str(published).removeprefix("1x1x")
    return agrees(computed, published)


def _depth(child: Node | Block) -> int:
    """Count the layers with weights on the longest path through a node or block."""
    if isinstance(child, Node):
        return int(child.op in _LAYERS_OF_DEPTH)
    depths = {"input": 0}
    for step in child.steps:
        depths[step.name] = max(depths[name] for name in step.inputs) + _depth(step.child)
    return depths[child.output]
