"""Runs of repeated blocks: one after another, equal in all but their weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from zoo.graphs.blocks import Block, Step
from zoo.graphs.nodes import Node


def runs(block: Block, single: set[str]) -> list[list[Step]]:
    """Group steps that are equal blocks, each reading only the one before it.

    Args:
        block: The block whose steps are grouped.
        single: Names of steps that are not grouped, such as operations.

    Returns:
        All steps in their order, in lists of those that are drawn as one box.
    """
    readers = Counter(name for step in block.steps for name in step.inputs)
    grouped: list[list[Step]] = []
    for step in block.steps:
        before = grouped[-1][-1] if grouped else None
        if (
            before
            and not {step.name, before.name} & single
            and step.inputs == (before.name,)
            and readers[before.name] == 1
            and _equal(before.child, step.child)
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


def _equal(one: Node | Block, other: Node | Block) -> bool:
    """Whether two compute the same, apart from their weights and their dropout rates."""
    if one.shape != other.shape:
        return False
    if isinstance(one, Block) and isinstance(other, Block):
        return (
            (one.kind, one.input_shape, one.output) == (other.kind, other.input_shape, other.output)
            and [(s.name, s.inputs) for s in one.steps] == [(s.name, s.inputs) for s in other.steps]
            and all(_equal(a.child, b.child) for a, b in zip(one.steps, other.steps, strict=True))
        )
    if isinstance(one, Node) and isinstance(other, Node):
        mine, others = ({**node.attributes, "rate": 0} for node in (one, other))
        return one.op == other.op and one.input_shapes == other.input_shapes and mine == others
    return False
