"""What is drawn: boxes for what is folded, frames around what is open, and lines between them."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.drawing.words import describe, details, family_of, shown
from zoo.network import Block, Graph, Node

#: In a frame's lines, the frame's own input.
INPUT = -1


@dataclass(frozen=True, eq=False)
class Box:
    """An operation, a folded block, or an end of the network.

    Attributes:
        name: Path name; what ``data-name`` in the picture says.
        title: What stands in it, first.
        words: And below.
        family: What its colour shows; a key of ``zoo.drawing.words.FAMILIES``.
        shape: Of its output; empty at the network's end.
        about: Its tooltip.
    """

    name: str
    title: str
    words: str
    family: str
    shape: str = ""
    about: str = ""


@dataclass(frozen=True, eq=False)
class Frame:
    """An open block, or the whole picture.

    Attributes:
        name: Path name.
        title: What stands at its top.
        items: What is in it, in an order in which it can be computed.
        lines: From which to which, by position in ``items``; :data:`INPUT` is the frame's own
            input, and ``len(items)`` its output.
        about: Its tooltip.
    """

    name: str
    title: str
    items: tuple[Box | Frame, ...]
    lines: tuple[tuple[int, int], ...]
    about: str = ""

    def name_of(self, position: int) -> str:
        """The name of an end of a line: of an item, or of the frame's own input or output."""
        if position == INPUT:
            return f"{self.name}.input"
        return self.name if position == len(self.items) else self.items[position].name


def boxes(graph: Graph, block: Block, depth: int | None) -> Frame:
    """Fold a network, or one block of it, to what is to be drawn.

    Args:
        graph: The network.
        block: Its root, or an inner block.
        depth: How many levels of blocks to show, as in :meth:`zoo.Graph.summary`; None shows all.

    Returns:
        A frame whose first item is the input, with a box for each output.
    """
    frame = _frame(block, depth)
    whole = block is graph.root
    ends = [(o.name, o.step, o.loss_weight) for o in graph.outputs] if whole else []
    size = len(block.steps) + 1  # the input stands before the steps
    items = [Box("input", "input", "", "input and output", shown(block.input_shape), "the input")]
    lines = [(a + 1, b + 1) for a, b in frame.lines if b < len(frame.items)]
    places = {step.name: i for i, step in enumerate(block.steps, start=1)}
    for name, step, weight in ends or [("output", block.output, 1.0)]:
        words = f"loss x {weight:g}" if weight != 1 else ""
        lines.append((places[step], size))
        items.append(Box(f"output {name}", name, words, "input and output", "", f"output {name}"))
        size += 1
    return Frame(block.name, "", (items[0], *frame.items, *items[1:]), tuple(lines))


def _frame(block: Block, depth: int | None) -> Frame:
    places = {"input": INPUT, **{step.name: i for i, step in enumerate(block.steps)}}
    lines = dict.fromkeys(
        (places[name], places[step.name]) for step in block.steps for name in step.inputs
    )
    return Frame(
        block.name,
        _title(block),
        tuple(_item(step.child, depth) for step in block.steps),
        (*lines, (places[block.output], len(block.steps))),
        details(block),
    )


def _item(child: Node | Block, depth: int | None) -> Box | Frame:
    if isinstance(child, Block) and (depth is None or depth > 1):
        return _frame(child, None if depth is None else depth - 1)
    title = child.name.rpartition(".")[2]
    words = describe(child)
    words = "" if words == title else words
    return Box(child.name, title, words, family_of(child), shown(child.shape), details(child))


def _title(block: Block) -> str:
    name = block.name.rpartition(".")[2]
    return name if block.kind == name else f"{name}: {block.kind}"
