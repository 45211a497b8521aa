"""What is drawn: boxes for what is folded, frames around what is open, and lines between them."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.graphs.blocks import Block, Step
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.views.drawing.blocks import branching, describe, family_of, is_small
from zoo.views.drawing.runs import name_of, runs
from zoo.views.drawing.words import details, shown

#: In a frame's lines, the frame's own input.
INPUT = -1


@dataclass(frozen=True, eq=False)
class Box:
    """An operation, a folded block, or an end of the network.

    Attributes:
        name: Path name, of a run of equal blocks ``first-last``; what ``data-name`` in the picture
            says.
        title: What stands in it, first.
        words: And below.
        family: What its colour shows; a key of ``zoo.views.drawing.words.FAMILIES``.
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
    whole = block is graph.root
    ends = [(o.name, o.step, o.loss_weight) for o in graph.outputs] if whole else []
    ends = ends or [("output", block.output, 1.0)]
    # Small blocks are opened only where that shows the whole picture in the same detail.
    depth = None if depth is None or depth >= _levels(block) else depth
    alone = {step for _, step, _ in ends} if whole else set()
    folder = _Folder(depth, alone, branching(graph.root))
    frame, places = folder.frame(block, 1)
    size = len(frame.items) + 1  # the input stands before them
    items = [Box("input", "input", "", "input and output", shown(block.input_shape), "the input")]
    lines = [(a + 1, b + 1) for a, b in frame.lines if b < len(frame.items)]
    for name, step, weight in ends:
        words = f"loss x {weight:g}" if weight != 1 else ""
        lines.append((places[step] + 1, size))
        items.append(Box(f"output {name}", name, words, "input and output", "", f"output {name}"))
        size += 1
    return Frame(block.name, "", (items[0], *frame.items, *items[1:]), tuple(lines))


@dataclass(frozen=True)
class _Folder:
    """Makes frames and boxes.

    Attributes:
        depth: How many levels of blocks to show; None shows all.
        ends: Top-level steps that the outputs read: after them nothing is folded together.
        branching: Kinds of blocks of which some branch.
    """

    depth: int | None
    ends: set[str]
    branching: set[str]

    def frame(self, block: Block, level: int) -> tuple[Frame, dict[str, int]]:
        """A block, open; and which of its items each step is in."""
        alone = {step.name for step in block.steps if self._stands_alone(step.child, level)}
        alone |= self.ends if level == 1 else set()
        groups = runs(block, alone)
        places = {step.name: i for i, group in enumerate(groups) for step in group}
        places["input"] = INPUT
        lines = dict.fromkeys(
            (places[name], places[step.name])
            for step in block.steps
            for name in step.inputs
            if places[name] != places[step.name]
        )
        items = tuple(self._item(group, level) for group in groups)
        ways = (*lines, (places[block.output], len(items)))
        return Frame(block.name, _title(block), items, ways, details(block)), places

    def _item(self, group: list[Step], level: int) -> Box | Frame:
        child = group[0].child
        if isinstance(child, Block) and self._opens(child, level):
            return self.frame(child, level + 1)[0]
        name = name_of(group)
        title, words, about = (
            name.rpartition(".")[2],
            describe(child, self.branching),
            details(child),
        )
        words = "" if words == title else words
        if len(group) > 1:
            title, about = f"{title}, × {len(group)}", f"{len(group)} times {about}"
            words = f"{words} each" if words.endswith(" parameters") else words
        return Box(name, title, words, family_of(child), shown(child.shape), about)

    def _opens(self, child: Block, level: int) -> bool:
        return self.depth is None or (level < self.depth and not is_small(child))

    def _stands_alone(self, child: Node | Block, level: int) -> bool:
        return isinstance(child, Node) or self._opens(child, level) or is_small(child)


def _levels(block: Block) -> int:
    """How many levels of blocks there are, the one asked about among them."""
    inner = (step.child for step in block.steps)
    return 1 + max((_levels(child) for child in inner if isinstance(child, Block)), default=0)


def _title(block: Block) -> str:
    name = block.name.rpartition(".")[2]
    return name if block.kind == name else f"{name}: {block.kind}"
