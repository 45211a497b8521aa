"""The graph: what a spec means, with every default filled in and nothing left to guess.

A :class:`Graph` is a tree of blocks over a list of nodes. It is explicit: every padding is four
numbers (top, bottom, left, right), every ceil is resolved, every node has a path name such as
``inception3a.branch5x5.reduce.conv``, a shape, and parameters in one canonical layout
(convolution OIHW, linear [out, in], flattening in CHW order). Shapes leave the batch out:
``(channels, height, width)`` for maps, ``(features,)`` for vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo.errors import BackendError, InputError, UnknownNameError, suggestion
from zoo.graphs import blocks
from zoo.graphs.blocks import Block
from zoo.graphs.exchange import Reader, plain, tuples
from zoo.graphs.frozen import freeze
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map, Shape

if TYPE_CHECKING:
    import zoo


@dataclass(frozen=True, slots=True)
class Output:
    """A result of the network: which top-level step it is, and its weight in the loss."""

    name: str
    step: str
    loss_weight: float = 1.0


#: The version of the data that :meth:`Graph.to_dict` returns.
FORMAT = 1

#: The fields of a graph that are plain data.
_PLAIN = (
    "options",
    "initializers",
    "published",
    "about",
    "preprocessing",
    "document",
    "origin",
)


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
        published: The paper's figures, by path name (empty for the whole network); see
            ``zoo.graphs.published``.
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
        (6998552, Map(channels=64, height=112, width=112))
    """

    name: str
    root: Block
    outputs: tuple[Output, ...]
    input_shape: Map
    options: Mapping[str, Any]
    omitted: tuple[str, ...] = ()
    initializers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _PLAIN:
            object.__setattr__(self, name, freeze(getattr(self, name)))

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

    def summary(self, depth: int | None = 1) -> zoo.Summary:
        """Summarise the network; short for :func:`zoo.summary`.

        Args:
            depth: How many levels of blocks to open; None opens all.

        Raises:
            InputError: ``depth`` is neither None nor a positive integer.
        """
        import zoo  # the one place where a graph uses what is built above it

        return zoo.summary(self, depth)

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

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as plain data, which ``json.dumps`` takes and :meth:`from_dict` reads.

        Example:
            >>> import json, zoo
            >>> text = json.dumps(zoo.graph("vgg16").to_dict())
            >>> Graph.from_dict(json.loads(text)).num_parameters
            138357544
        """
        return {"zoo_graph": FORMAT, **plain(self)}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Graph:
        """Make a graph of what :meth:`to_dict` returned; nothing in it is trusted.

        Raises:
            InputError: The data is no graph, or is of another format version.
        """
        if not isinstance(data, Mapping) or "zoo_graph" not in data:
            raise InputError("not a graph: expected a mapping with the key 'zoo_graph'")
        version = data["zoo_graph"]
        if type(version) is not int or version != FORMAT:
            raise InputError(
                f"a graph of format {version!r:.20}; this version of zoo reads {FORMAT}"
            )
        graph = _read(Reader({k: v for k, v in data.items() if k != "zoo_graph"}, "$"))
        _check_names(graph)
        return graph

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


def _read(at: Reader) -> Graph:
    own = at.fields(Graph)
    shape = own["input_shape"].shape()
    if not isinstance(shape, Map):
        own["input_shape"].fail("the shape of a map")
    return Graph(
        name=own["name"].text(),
        root=blocks.read(own["root"]),
        outputs=tuple(map(_read_output, own["outputs"].items())),
        input_shape=shape,
        options={key: tuples(value) for key, value in own["options"].mapping().items()},
        omitted=own["omitted"].texts(),
        initializers=own["initializers"].mapping(),
        published=own["published"].mapping(),
        about=own["about"].mapping(),
        preprocessing=own["preprocessing"].mapping(),
        classes=own["classes"].texts(),
        document=own["document"].mapping(),
        origin=own["origin"].mapping(),
    )


def _read_output(at: Reader) -> Output:
    own = at.fields(Output)
    return Output(own["name"].text(), own["step"].text(), own["loss_weight"].number())


def _check_names(graph: Graph) -> None:
    """Refuse a graph in which something is read that is not there."""
    seen = {"input"}
    for node in graph.nodes:
        if node.name in seen or not set(node.inputs) <= seen:
            raise InputError(
                f"not a graph: node {node.name!r:.60} is there twice, or reads what does not come "
                "before it"
            )
        seen.add(node.name)
    steps = {step.name for step in graph.root.steps}
    if not graph.outputs or not {output.step for output in graph.outputs} <= steps:
        raise InputError("not a graph: it has no outputs, or one comes from no step")
