"""A graph as a table: shapes, parameters and MACs, with the paper's own figures beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.graphs.published import agrees
from zoo.graphs.shapes import Shape
from zoo.views import tables

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

#: Operations with weights that papers count as a network's depth.
_LAYERS_OF_DEPTH = ("conv", "linear")
#: The figures that papers state, and their headings.
_FIGURES = (("params", "parameters"), ("ops", "MACs"))


@dataclass(frozen=True)
class Row:
    """One line of a summary.

    Attributes:
        name: Path name; empty for the whole network.
        kind: The block's or operation's name.
        output: Output as papers write it, height x width x channels.
        depth: Layers of weights on the longest way through.
        params: Trainable values.
        ops: Multiply-accumulates of one example.
        published: What the paper states, as it writes it, by the names above.
        disagreeing: Those of them that the computed figures do not bear out.
    """

    name: str
    kind: str
    output: str
    depth: int
    params: int
    ops: int
    published: Mapping[str, Any] = field(default_factory=dict)
    disagreeing: tuple[str, ...] = ()


class Summary:
    """The rows of a graph, ready to print (plainly or with rich) or to hand to a program.

    Example:
        >>> import zoo
        >>> summary = zoo.graph("googlenet").summary()
        >>> [(row.name, row.params) for row in summary.rows if row.name == "inception3a"]
        [('inception3a', 163696)]
    """

    def __init__(self, graph: Graph, depth: int | None = 1) -> None:
        self.graph = graph
        self.rows = [_row(graph, child, level) for child, level in _children(graph.root, depth)]
        self.total = _row(graph, graph.root, 0)

    @property
    def disagreements(self) -> list[str]:
        """Each published figure that is not this network's, in words.

        Of the paper's own network these are figures that do not add up; of a variant, where it
        departs from the paper.
        """
        return [
            f"{row.name or row.kind}: the paper's {key} of {row.published[key]}, "
            f"computed {_shown(getattr(row, key))}"
            for row in [*self.rows, self.total]
            for key in row.disagreeing
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        graph = self.graph
        return {
            "model": graph.name,
            "input_shape": list(graph.input_shape),
            "options": {**graph.options, "input_size": list(graph.options["input_size"])},
            "num_parameters": graph.num_parameters,
            "macs": graph.macs,
            "rows": [asdict(row) for row in self.rows],
            "total": asdict(self.total),
            "disagreements": self.disagreements,
        }

    def to_markdown(self) -> str:
        """Return the table as GitHub's Markdown, the total in its last row.

        Example:
            >>> import zoo
            >>> print(zoo.graph("vgg16").summary().to_markdown()[:46])
            | layer | kind | output | depth | parameters |
        """
        stated = self._stated_figures
        headings = ["layer", "kind", "output", "depth"]
        for _, heading in _FIGURES:
            headings += [heading, *(["paper"] if stated else [])]
        lines = []
        for row in [*self.rows, self.total]:
            cells = [row.name or "total", row.kind, row.output, str(row.depth or "")]
            for key, _ in _FIGURES:
                value = getattr(row, key)
                cells.append(f"{value:,}" if value else "")
                sign = " ≠" if key in row.disagreeing else ""
                cells += [f"{row.published.get(key, '')}{sign}"] if stated else []
            lines.append(cells)
        table = tables.markdown(headings, lines, range(2, len(headings)))
        told = [f"- {tables.escaped(text)}" for text in self.disagreements]
        return "\n".join([table, *([""] if told else []), *told])

    def to_csv(self) -> str:
        """Return every row as CSV, what the paper states in columns ``published_*``.

        The last row is the whole network: its name is empty, as in :attr:`total`.

        Example:
            >>> import zoo
            >>> zoo.graph("vgg16").summary().to_csv().splitlines()[1].split(",")[:5]
            ['stage1', 'stage', '112x112x64', '2', '38720']
        """
        figures = ("output", "depth", "params", "ops")
        headings = ["name", "kind", *figures, *(f"published_{key}" for key in figures)]
        return tables.comma_separated(
            [*headings, "disagreeing"],
            [
                [
                    *(row.name, row.kind, row.output, row.depth, row.params, row.ops),
                    *(row.published.get(key, "") for key in figures),
                    " ".join(row.disagreeing),
                ]
                for row in [*self.rows, self.total]
            ],
        )

    @property
    def _stated_figures(self) -> bool:
        return any(row.published.keys() & {"params", "ops"} for row in [*self.rows, self.total])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        # Whole names and kinds where there is room for the longest; otherwise a tree.
        table = self._table(wide=True)
        wide = console.measure(table, options=options.update(max_width=1000)).maximum
        yield table if wide <= options.max_width else self._table(wide=False)
        if self.disagreements:
            yield "[red]≠[/red] where the paper's figures are others:"
            yield from self.disagreements

    def _table(self, wide: bool) -> Table:
        from rich import box
        from rich.table import Table

        stated = self._stated_figures
        height_width_channels = "x".join(map(str, _height_first(self.graph.input_shape)))
        title = f"{self.graph.name}, input {height_width_channels}"
        table = Table(
            title=title,
            title_justify="left",
            show_footer=True,
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("layer", footer="total", no_wrap=True)
        if wide:
            table.add_column("kind", no_wrap=True)
        table.add_column("output", justify="right", no_wrap=True)
        table.add_column("depth", justify="right", footer=str(self.total.depth))
        for key, heading in _FIGURES:
            total = f"{getattr(self.total, key):,}"
            table.add_column(heading, justify="right", footer=total, no_wrap=True)
            if stated:
                footer = _stated(self.total, key)
                table.add_column("paper", justify="right", footer=footer, no_wrap=True)
        for row in self.rows:
            kind = [row.kind] if wide else []
            name = row.name if wide else _indented(row.name)
            cells = [name, *kind, row.output, str(row.depth or "")]
            for key, _ in _FIGURES:
                value = getattr(row, key)
                cells.append(f"{value:,}" if value else "")
                cells += [_stated(row, key)] if stated else []
            table.add_row(*cells)
        return table

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=110, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


def _children(block: Block, depth: int | None) -> Iterator[tuple[Node | Block, int]]:
    for step in block.steps:
        child = step.child
        yield child, 0
        if isinstance(child, Block) and (depth is None or depth > 1):
            yield from _children(child, None if depth is None else depth - 1)


def _row(graph: Graph, child: Node | Block, level: int) -> Row:
    depth = _depth(child)
    figures: dict[str, Any] = {
        "output": "x".join(map(str, _height_first(child.shape))),
        "depth": depth,
        "params": child.num_parameters,
        "ops": child.macs,
    }
    published = graph.published.get(child.name, {})
    kind = child.kind if isinstance(child, Block) else child.op
    return Row(
        child.name,
        kind,
        **figures,
        published=published,
        disagreeing=tuple(k for k, v in published.items() if not _bears_out(figures[k], v)),
    )


def _indented(path: str) -> str:
    """Show a path name as its last part, below and to the right of the block it is in."""
    *blocks, name = path.split(".")
    return "  " * len(blocks) + name


def _bears_out(computed: Any, published: object) -> bool:
    if isinstance(computed, str):
        # Papers write a vector as a map of one pixel.
        return computed.removeprefix("1x1x") == str(published).removeprefix("1x1x")
    return agrees(computed, published)


def _depth(child: Node | Block) -> int:
    """Count the layers of weights on the longest way through."""
    if isinstance(child, Node):
        return int(child.op in _LAYERS_OF_DEPTH)
    depths = {"input": 0}
    for step in child.steps:
        depths[step.name] = max(depths[name] for name in step.inputs) + _depth(step.child)
    return depths[child.output]


def _height_first(shape: Shape) -> Shape:
    return (*shape[1:], shape[0])


def _stated(row: Row, key: str) -> str:
    text = str(row.published.get(key, ""))
    return f"[red]{text} ≠[/red]" if key in row.disagreeing else text


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
