"""Blocks of a graph: steps over one input with one output."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from zoo.errors import InputError
from zoo.graphs.nodes import Node
from zoo.graphs.serialization import Reader
from zoo.graphs.shapes import NodeShape, named

#: How deeply blocks may be nested in data that is read.
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True)
class Block:
    """Steps over one input with one output.

    Attributes:
        name: Path name; empty for the whole network.
        kind: Name of the block in the spec, such as ``inception``.
        steps: The steps, in an order in which they can be computed.
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
    def descendants(self) -> Iterator[Node | Block]:
        """Every node and block inside, in order; a block comes before what is inside it."""
        for step in self.steps:
            yield step.child
            if isinstance(step.child, Block):
                yield from step.child.descendants

    @property
    def output_node(self) -> Node:
        """The node whose value is the block's output."""
        child = next(step.child for step in self.steps if step.name == self.output)
        return child.output_node if isinstance(child, Block) else child

    def __hash__(self) -> int:
        return hash(self.name)

    def __deepcopy__(self, memo: object) -> Block:
        return self  # immutable

    @cached_property
    def program(self) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
        """The steps without their children: (name, inputs, releases) of each."""
        return tuple((step.name, step.inputs, step.releases) for step in self.steps)

    @cached_property
    def is_chain(self) -> bool:
        """Whether each step reads only the previous one, and the last one is the output."""
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
        source: Path name of the node that the copy reads.
    """
    old = len(block.name)

    def renamed(inner: Block) -> Block:
        steps = tuple(
            [Step(s.name, s.inputs, renamed_child(s.child), s.releases) for s in inner.steps]
        )
        path = name + inner.name[old:]
        return Block(path, inner.kind, steps, inner.output, inner.input_shape, inner.shape)

    def renamed_child(child: Node | Block) -> Node | Block:
        if isinstance(child, Block):
            return renamed(child)
        return child.moved(name, old, source)

    return renamed(block)


def computes_same(one: Node | Block, other: Node | Block) -> bool:
    """Tell whether two nodes or blocks compute the same, whatever they are called and read.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("vgg16")
        >>> computes_same(graph["stage1.pool"], graph["stage2.pool"])  # the shapes differ
        False
        >>> computes_same(graph["stage5.conv1"], graph["stage5.conv2"])
        True
    """
    if isinstance(one, Block) and isinstance(other, Block):
        shapes = (one.input_shape, one.shape) == (other.input_shape, other.shape)
        return (
            shapes
            and (one.program, one.output) == (other.program, other.output)
            and all(map(computes_same, _children(one), _children(other)))
        )
    if isinstance(one, Block) or isinstance(other, Block):
        return False
    return _computation(one) == _computation(other)


def _children(block: Block) -> Iterator[Node | Block]:
    return (step.child for step in block.steps)


def _computation(node: Node) -> tuple[object, ...]:
    return node.op, node.input_shapes, node.shape, node.attributes


def releasing(steps: Sequence[Step], kept: Collection[str]) -> tuple[Step, ...]:
    """Return the steps with ``releases`` filled in.

    Args:
        steps: The steps, in the order in which they are computed.
        kept: Names of values that are needed after the last step.
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


def read(reader: Reader, depth: int = 0) -> Block:
    """Make a block from plain data.

    Raises:
        InputError: The data is not a block, or a step reads one that does not precede it.
    """
    if depth > MAX_DEPTH:
        reader.fail(f"blocks at most {MAX_DEPTH} levels deep")
    fields = reader.fields(Block)
    block = Block(
        name=fields["name"].text(),
        kind=fields["kind"].text(),
        steps=tuple(_step(item, depth) for item in fields["steps"].items()),
        output=fields["output"].text(),
        input_shape=fields["input_shape"].shape(),
        shape=fields["shape"].shape(),
    )
    names = {"input"}
    for step in block.steps:
        if step.name in names or not step.inputs or not set(step.inputs) <= names:
            raise InputError(
                f"not a graph: {reader.path}: step {step.name!r:.60} is a duplicate, or does "
                "not read steps that precede it"
            )
        names.add(step.name)
    if block.output not in names - {"input"}:
        fields["output"].fail("the name of a step")
    return block


def _step(reader: Reader, depth: int) -> Step:
    fields = reader.fields(Step)
    child = fields["child"]
    is_block = isinstance(child.value, dict) and "steps" in child.value
    return Step(
        name=fields["name"].text(),
        inputs=fields["inputs"].texts(),
        child=read(child, depth + 1) if is_block else child.node(),
        releases=fields["releases"].texts(),
    )
