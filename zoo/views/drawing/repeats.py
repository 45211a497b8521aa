"""Runs of repeated blocks: consecutive blocks that are equal except for their weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from zoo.graphs.blocks import Block, Step
from zoo.graphs.nodes import Node


def runs(block: Block, single: set[str]) -> list[list[Step]]:
    """Group consecutive equal blocks of which each reads only the previous one.

    Args:
        block: The block whose steps are grouped.
        single: Names of steps that are not grouped, such as operations.

    Returns:
        All steps in order, as lists of steps that are drawn as one box.
    """
    readers = Counter(name for step in block.steps for name in step.inputs)
    grouped: list[list[Step]] = []
    for step in block.steps:
        previous = grouped[-1][-1] if grouped else None
        if (
            previous
            and not {step.name, previous.name} & single
            and step.inputs == (previous.name,)
            and readers[previous.name] == 1
            and _equal(previous.child, step.child)
        ):
            grouped[-1].append(step)
        else:
            grouped.append([step])
    return grouped


def name_of_run(run: Sequence[Step]) -> str:
    """Name a run by its first and last step.

    Example:
        >>> import zoo
        >>> name_of_run(zoo.graph("resnet50")["layer1"].steps)
        'layer1.block1-3'
    """
    first, last = run[0].child.name, run[-1].child.name
    if len(run) == 1:
        return first
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = "".join(letter for letter, _ in same).rstrip("0123456789")  # 10-19, not 10-9
    return f"{first}-{last.removeprefix(shared)}"


def _equal(first: Node | Block, second: Node | Block) -> bool:
    """Return whether two nodes or blocks are equal, except for weights and dropout rates."""
    if first.shape != second.shape:
        return False
    if isinstance(first, Block) and isinstance(second, Block):
        return _structure(first) == _structure(second) and all(
            _equal(a.child, b.child) for a, b in zip(first.steps, second.steps, strict=True)
        )
    if isinstance(first, Node) and isinstance(second, Node):
        return _definition(first) == _definition(second)
    return False


def _structure(block: Block) -> tuple[object, ...]:
    steps = [(step.name, step.inputs) for step in block.steps]
    return block.kind, block.input_shape, block.output, steps


def _definition(node: Node) -> tuple[object, ...]:
    return node.op, node.input_shapes, {**node.attributes, "rate": 0}
