"""Runs of equal blocks: one after another, alike in all but their weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from zoo.graphs.blocks import Block, Step
from zoo.graphs.nodes import Node


def runs(block: Block, single: set[str]) -> list[list[Step]]:
    """Put steps that are equal blocks, each reading only the one before it, together.

    Args:
        block: Whose steps.
        single: Names of steps that stand by themselves, such as operations.

    Returns:
        All steps in their order, those that can be drawn as one in one list.
    """
    readers: dict[str, int] = {}
    for step in block.steps:
        for name in step.inputs:
            readers[name] = readers.get(name, 0) + 1
    found: list[list[Step]] = []
    for step in block.steps:
        before = found[-1][-1] if found else None
        if (
            before
            and not {step.name, before.name} & single
            and step.inputs == (before.name,)
            and readers[before.name] == 1
            and _equal(before.child, step.child)
        ):
            found[-1].append(step)
        else:
            found.append([step])
    return found


def name_of(run: Sequence[Step]) -> str:
    """The path name of a run: ``block2-6`` of block2 to block6.

    Example:
        >>> import zoo
        >>> name_of(zoo.graph("resnet50")["layer1"].steps)
        'layer1.block1-3'
    """
    first, last = run[0].child.name, run[-1].child.name
    if len(run) == 1:
        return first
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = "".join(letter for letter, _ in same).rstrip("0123456789")  # 10-19, not 10-9
    return f"{first}-{last.removeprefix(shared)}"


def _equal(one: Node | Block, other: Node | Block) -> bool:
    """Whether two compute the same but for their weights, and what training drops."""
    if one.shape != other.shape:
        return False
    if isinstance(one, Block) and isinstance(other, Block):
        same_kind = one.kind == other.kind and one.input_shape == other.input_shape
        ways = [[(s.name, s.inputs) for s in block.steps] for block in (one, other)]
        return (
            same_kind
            and ways[0] == ways[1]
            and one.output == other.output
            and all(_equal(a.child, b.child) for a, b in zip(one.steps, other.steps, strict=True))
        )
    if isinstance(one, Node) and isinstance(other, Node):
        mine, others = ({**node.attributes, "rate": 0} for node in (one, other))
        return one.op == other.op and one.input_shapes == other.input_shapes and mine == others
    return False
