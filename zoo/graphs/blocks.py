"""Blocks of a graph: steps over one input with one output."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from zoo.errors import InputError
from zoo.graphs.exchange import Reader
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import NodeShape, named

#: How deep blocks may lie within blocks in data that is read.
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A child of a block and where its inputs come from.

    Attributes:
        name: Local name, unique in the block.
        inputs: Local names of earlier steps, or ``input`` for the block's own input.
        child: The node or inner block.
        releases: Local names that no later step reads.
    """

    name: str
    inputs: tuple[str, ...]
    child: Node | Block
    releases: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Block:
    """Steps over one input with one output.

    Attributes:
        name: Path name; empty for the whole network.
        kind: Name of the block in the spec, such as ``inception``.
        steps: In an order in which they can be computed.
        output: Local name of the step whose value is the block's output.
        input_shape: Shape of its input.
        shape: Shape of its output.
    """

    name: str
    kind: str
    steps: tuple[Step, ...]
    output: str
    input_shape: NodeShape
    shape: NodeShape

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", named(self.input_shape))
        object.__setattr__(self, "shape", named(self.shape))

    @property
    def nodes(self) -> Iterator[Node]:
        """Every node inside, in order."""
        for step in self.steps:
            if isinstance(step.child, Block):
                yield from step.child.nodes
            else:
                yield step.child

    @property
    def output_node(self) -> Node:
        """The node whose value is the block's output."""
        child = next(step.child for step in self.steps if step.name == self.output)
        return child.output_node if isinstance(child, Block) else child

    def __deepcopy__(self, memo: object) -> Block:
        return self  # nothing in it can change, and a copy would not be equal

    @cached_property
    def program(self) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
        """The steps without their children: (name, inputs, releases) of each."""
        return tuple((step.name, step.inputs, step.releases) for step in self.steps)

    @cached_property
    def is_chain(self) -> bool:
        """Whether each step reads just the one before it, and the last is the output."""
        names = ["input", *(step.name for step in self.steps)]
        chained = all(s.inputs == (n,) for s, n in zip(self.steps, names, strict=False))
        return chained and self.output == names[-1]

    @property
    def num_parameters(self) -> int:
        """Number of trainable values inside."""
        return sum(node.num_parameters for node in self.nodes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates inside, for one example."""
        return sum(node.macs for node in self.nodes)


def moved(block: Block, name: str, source: str) -> Block:
    """Return the same block under another name.

    Args:
        block: A block.
        name: Path name of the new one.
        source: Path name of the node that it reads.
    """
    old = len(block.name)

    def copied(inner: Block) -> Block:
        steps = tuple([Step(s.name, s.inputs, child(s.child), s.releases) for s in inner.steps])
        path = name + inner.name[old:]
        return Block(path, inner.kind, steps, inner.output, inner.input_shape, inner.shape)

    def child(each: Node | Block) -> Node | Block:
        if isinstance(each, Block):
            return copied(each)
        return each.moved(name, old, source)

    return copied(block)


def releasing(steps: Sequence[Step], kept: Collection[str]) -> tuple[Step, ...]:
    """Return steps that say which values no later step reads.

    Args:
        steps: In the order in which they are computed.
        kept: Names of values that are wanted after the last step.
    """
    last = {source: i for i, step in enumerate(steps) for source in step.inputs}
    releases: list[list[str]] = [[] for _ in steps]
    for name, i in last.items():
        if name not in kept:
            releases[i].append(name)
    return tuple(
        Step(step.name, step.inputs, step.child, tuple(sorted(names)))
        for step, names in zip(steps, releases, strict=True)
    )


def read(at: Reader, depth: int = 0) -> Block:
    """Make a block of plain data.

    Raises:
        InputError: The data is no block, or a step reads what does not come before it.
    """
    if depth > MAX_DEPTH:
        at.fail(f"blocks at most {MAX_DEPTH} levels deep")
    own = at.fields(Block)
    block = Block(
        name=own["name"].text(),
        kind=own["kind"].text(),
        steps=tuple(_step(item, depth) for item in own["steps"].items()),
        output=own["output"].text(),
        input_shape=own["input_shape"].shape(),
        shape=own["shape"].shape(),
    )
    seen = {"input"}
    for step in block.steps:
        if step.name in seen or not set(step.inputs) <= seen:
            raise InputError(
                f"not a graph: {at.path}: step {step.name!r:.60} is there twice, or reads what "
                "does not come before it"
            )
        seen.add(step.name)
    if block.output not in seen - {"input"}:
        own["output"].fail("the name of a step")
    return block


def _step(at: Reader, depth: int) -> Step:
    own = at.fields(Step)
    child = own["child"]
    is_block = isinstance(child.value, dict) and "steps" in child.value
    return Step(
        name=own["name"].text(),
        inputs=own["inputs"].texts(),
        child=read(child, depth + 1) if is_block else child.node(),
        releases=own["releases"].texts(),
    )
