"""Folds a network, or one block of it, into boxes and frames."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.graphs.blocks import Block, Step
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.views.drawing.block_labels import Captions, is_small
from zoo.views.drawing.labels import tooltip
from zoo.views.drawing.repeats import name_of_run, runs
from zoo.views.drawing.scene import INPUT, Box, Frame
from zoo.views.shapes import height_width_channels

_ENDS = "input and output"


def fold(graph: Graph, block: Block, depth: int | None, captions: Captions | None = None) -> Frame:
    """Fold a network, or one block of it.

    Args:
        graph: The network.
        block: Its root, or a block in it.
        depth: How many levels of blocks to show; None shows all.
        captions: Those of the network and of others beside it; by default, of the network alone.

    Returns:
        A frame whose first item is the input, and whose last items are the outputs.
    """
    whole = block is graph.root
    ends = [(o.name, o.step, o.loss_weight) for o in graph.outputs] if whole else []
    ends = ends or [("output", block.output, 1.0)]
    # Small blocks are opened only if everything else is, too, so that the detail is the same.
    depth = None if depth is None or depth >= _levels(block) else depth
    read_by_outputs = {step for _, step, _ in ends} if whole else set()
    folder = _Folder(depth, read_by_outputs, captions or Captions(graph.root))
    frame, positions = folder.frame(block, 1)
    count = len(frame.items) + 1  # the input comes first
    shape = height_width_channels(block.input_shape)
    items = [Box("input", "input", "", _ENDS, shape, "the input")]
    lines = [(a + 1, b + 1) for a, b in frame.lines if b < len(frame.items)]
    for name, step, weight in ends:
        label = f"loss x {weight:g}" if weight != 1 else ""
        lines.append((positions[step] + 1, count))
        items.append(Box(f"output {name}", name, label, _ENDS, "", f"output {name}"))
        count += 1
    return Frame(block.name, "", (items[0], *frame.items, *items[1:]), tuple(lines))


@dataclass(frozen=True)
class _Folder:
    """Makes frames and boxes.

    Attributes:
        depth: How many levels of blocks to show; None shows all.
        read_by_outputs: Steps of the top level that outputs read. A run of repeated blocks ends
            there.
        captions: Describe the boxes.
    """

    depth: int | None
    read_by_outputs: set[str]
    captions: Captions

    def frame(self, block: Block, level: int) -> tuple[Frame, dict[str, int]]:
        """Return a block as an open frame, and the position of each step in it."""
        single = {step.name for step in block.steps if self._stands_alone(step.child, level)}
        single |= self.read_by_outputs if level == 1 else set()
        groups = runs(block, single)
        positions = {step.name: i for i, group in enumerate(groups) for step in group}
        positions["input"] = INPUT
        lines = dict.fromkeys(
            (positions[source], positions[step.name])
            for step in block.steps
            for source in step.inputs
            if positions[source] != positions[step.name]
        )
        items = tuple(self._item(group, level) for group in groups)
        all_lines = (*lines, (positions[block.output], len(items)))
        return Frame(block.name, _title(block), items, all_lines, tooltip(block)), positions

    def _item(self, run: list[Step], level: int) -> Box | Frame:
        child = run[0].child
        if isinstance(child, Block) and self._opens(child, level):
            return self.frame(child, level + 1)[0]
        name = name_of_run(run)
        title, text = name.rpartition(".")[2], tooltip(child)
        label = self.captions.label(child)
        label = "" if label == title else label
        if len(run) > 1:
            title, text = f"{title}, × {len(run)}", f"{len(run)} times {text}"
            label = f"{label} each" if label.endswith(" parameters") else label
        shape = height_width_channels(child.shape)
        return Box(name, title, label, self.captions.family(child), shape, text)

    def _opens(self, child: Block, level: int) -> bool:
        return self.depth is None or (level < self.depth and not is_small(child))

    def _stands_alone(self, child: Node | Block, level: int) -> bool:
        return isinstance(child, Node) or self._opens(child, level) or is_small(child)


def _levels(block: Block) -> int:
    """Return the number of levels of blocks, including this one."""
    inner = (step.child for step in block.steps)
    return 1 + max((_levels(child) for child in inner if isinstance(child, Block)), default=0)


def _title(block: Block) -> str:
    name = block.name.rpartition(".")[2]
    return name if block.kind == name else f"{name}: {block.kind}"
