"""The graph: what a spec means, with every default filled in and nothing left to guess.

A :class:`Graph` is a tree of blocks over a list of nodes. It is explicit: every padding is four
numbers (top, bottom, left, right), every ceil is resolved, every node has a path name such as
``inception3a.branch5x5.reduce.conv``, a shape, and parameters in one canonical layout
(convolution OIHW, linear [out, in], flattening in CHW order). Shapes leave the batch out:
``(channels, height, width)`` for maps, ``(features,)`` for vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo.errors import BackendError, InputError, UnknownNameError, suggestion

if TYPE_CHECKING:
    from zoo.views.summary import Summary

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One array of a node: learnt (a weight) or kept (a running statistic).

    Attributes:
        name: Canonical name, ``<node>.<local name>``.
        shape: Shape in the canonical layout.
        constant: What it is filled with at the start; None for weights, which are drawn.
        fan_in: Inputs that one output sums over; what initialisers scale by.
        fan_out: Outputs that one input goes to.
        trainable: False for running statistics.
    """

    name: str
    shape: Shape
    constant: float | None = None
    fan_in: int = 0
    fan_out: int = 0
    trainable: bool = True

    @property
    def size(self) -> int:
        """Number of values."""
        size = 1
        for n in self.shape:
            size *= n
        return size


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation.

    Attributes:
        name: Path name, unique in the graph.
        op: Name of the operation, such as ``conv``.
        inputs: Names of the nodes it reads; ``input`` is the network's own input.
        input_shapes: Their shapes.
        shape: Shape of its output.
        attributes: What the operation needs to know; see ``zoo.ops``.
        parameters: Its parameters, in order.
        macs: Multiply-accumulates for one example; 0 for what is not counted in MACs.
        layout: ``(C, H, W)`` if the output is a flattened map of that shape, still element by
            element in its order: frameworks that compute in HWC hold it in HWC order.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    attributes: Mapping[str, Any]
    parameters: tuple[Parameter, ...] = ()
    macs: int = 0
    layout: Shape | None = None

    @property
    def num_parameters(self) -> int:
        """Number of trainable values."""
        return sum(p.size for p in self.parameters if p.trainable)


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
    input_shape: Shape
    shape: Shape

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


@dataclass(frozen=True, slots=True)
class Output:
    """A result of the network: which top-level step it is, and its weight in the loss."""

    name: str
    step: str
    loss_weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as explicit data; made by :func:`zoo.graph`, read by builders.

    Attributes:
        name: Name of the model.
        root: The whole network as a block.
        outputs: Its results, the first one being the logits.
        input_shape: ``(channels, height, width)`` the graph was made for.
        options: The options it was made with.
        omitted: Top-level names that the spec declares and these options leave out (aux heads).
        initializers: How the paper fills parameters, by local name, where it says so.
        published: The paper's figures, by path name (empty for the whole network).
        about: Title, paper, year and the like.
        preprocessing: How a photograph becomes an input; see ``zoo.data.images``.
        classes: What the outputs stand for; empty where the spec does not say.
        document: The spec itself, as plain data, the variant laid over its family.
        origin: Where the weights of a model came from (``source``, ``file``, ``licence``); empty
            for those that zoo drew.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> graph.num_parameters, graph.node("conv1").shape
        (6998552, (64, 112, 112))
    """

    name: str
    root: Block
    outputs: tuple[Output, ...]
    input_shape: Shape
    options: Mapping[str, Any]
    omitted: tuple[str, ...] = ()
    initializers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, in an order in which they can be computed."""
        return tuple(self.root.nodes)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter and running statistic, in the order of the nodes."""
        return tuple(p for node in self.nodes for p in node.parameters)

    @cached_property
    def _children(self) -> dict[str, Node | Block]:
        found: dict[str, Node | Block] = {}

        def visit(block: Block) -> None:
            for step in block.steps:
                found[step.child.name] = step.child
                if isinstance(step.child, Block):
                    visit(step.child)

        visit(self.root)
        return found

    @property
    def num_parameters(self) -> int:
        """Number of trainable values."""
        return self.root.num_parameters

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass of one example."""
        return self.root.macs

    def __getitem__(self, path: str) -> Node | Block:
        """The node or block of a path name.

        Raises:
            UnknownNameError: There is none.
        """
        try:
            return self._children[path]
        except KeyError:
            raise UnknownNameError(
                f"{self.name} has no node or block {path!r}.{suggestion(path, self._children)}"
            ) from None

    def node(self, path: str) -> Node:
        """The node of a path name; of a block's name, the node that is its output."""
        child = self[path]
        return child.output_node if isinstance(child, Block) else child

    @cached_property
    def output_nodes(self) -> dict[str, Node]:
        """Output name -> node."""
        return {output.name: self.node(output.step) for output in self.outputs}

    def named(self, outputs: Any) -> Mapping[str, Any]:
        """Return what a model returned as a dict by name.

        Raises:
            InputError: Outputs are missing.
        """
        named = outputs if isinstance(outputs, Mapping) else {self.outputs[0].name: outputs}
        missing = [output.name for output in self.outputs if output.name not in named]
        if missing:
            raise InputError(
                f"{self.name} returns {', '.join(o.name for o in self.outputs)} in a dict, and "
                f"{', '.join(missing)} are missing; give all that the model returned"
            )
        return named

    def total_loss(self, outputs: Any, loss: Callable[[Any, float], Any]) -> Any:
        """Sum a loss over the outputs.

        Args:
            outputs: What a model returns: one output, or a dict of them by name.
            loss: From an output and its weight to a scalar.
        """
        named = self.named(outputs)
        first, *others = (loss(named[output.name], output.loss_weight) for output in self.outputs)
        for other in others:
            first = first + other
        return first

    def summary(self, depth: int | None = 1) -> Summary:
        """A table of blocks with shapes, parameters, MACs and the paper's own figures.

        Args:
            depth: How many levels of blocks to open; None opens all.

        Raises:
            InputError: ``depth`` is no such number.
        """
        from zoo.views.summary import Summary

        if depth is not None and (type(depth) is not int or depth < 1):
            raise InputError(f"depth must be None or an integer of at least 1, got {depth!r}")
        return Summary(self, depth)

    def refusal(self, shape: Shape, channels_last: bool = False) -> str:
        """What to tell a caller whose input does not have the shape the graph was made for."""
        c, h, w = self.input_shape
        wanted = f"[N, {h}, {w}, {c}]" if channels_last else f"[N, {c}, {h}, {w}]"
        return (
            f"{self.name} was built for inputs {wanted}, got {list(shape)}; for another size build "
            f"it with input_size=(height, width), for other channels with in_channels"
        )

    def without_dropout(self) -> Graph:
        """The same network whose dropouts drop nothing, for what must not depend on chance."""
        return replace(self, root=_without_dropout(self.root))

    def __deepcopy__(self, memo: object) -> Graph:
        return self  # a graph never changes

    def __repr__(self) -> str:
        size = "x".join(map(str, self.input_shape))
        return (
            f"<Graph {self.name}: input {size}, {len(self.nodes)} nodes, "
            f"{self.num_parameters:,} parameters, {self.macs:,} MACs>"
        )


def _without_dropout(block: Block) -> Block:
    def changed(child: Node | Block) -> Node | Block:
        if isinstance(child, Block):
            return _without_dropout(child)
        return replace(child, attributes={"rate": 0.0}) if "rate" in child.attributes else child

    return replace(block, steps=tuple(replace(s, child=changed(s.child)) for s in block.steps))


def graph_of(model: Any) -> Graph:
    """Return the graph that a model was built from.

    Raises:
        BackendError: zoo did not build the model, or saving and loading it lost the graph.
    """
    network = getattr(model, "zoo_graph", None)
    if not isinstance(network, Graph):
        raise BackendError(
            f"this {type(model).__name__} does not know its graph: it was not built by zoo, or was "
            "loaded by the framework's own loader; build it with zoo, and copy the weights over: "
            "zoo.set_weights(new, zoo.get_weights(old))"
        )
    return network


def text_of(shape: Shape) -> str:
    """Write a shape as papers do.

    Example:
        >>> text_of((64, 112, 112))
        '64x112x112'
    """
    return "x".join(map(str, shape))
