"""The graph: what a spec means, with every default filled in and nothing left to guess.

A :class:`Graph` is a tree of blocks over a list of nodes. It is explicit: every padding is four
numbers (top, bottom, left, right), every ceil is resolved, every node has a path name such as
``inception3a.branch5x5.reduce.conv``, a shape, and parameters in one canonical layout
(convolution OIHW, linear [out, in], flattening in CHW order). Shapes leave the batch out:
``(channels, height, width)`` for feature maps, ``(features,)`` for vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo import arguments
from zoo.errors import BackendError, InputError, UnknownNameError, suggestion
from zoo.graphs import blocks
from zoo.graphs.blocks import Block
from zoo.graphs.frozen import FrozenDict, freeze
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.published import problem_with_all
from zoo.graphs.serialization import Reader, plain, tuples
from zoo.graphs.shapes import Map

if TYPE_CHECKING:
    import zoo


@dataclass(frozen=True, slots=True)
class Output:
    """An output of the network: its name, its top-level step, and its weight in the loss."""

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


@dataclass(frozen=True)
class Graph:
    """A network as explicit data; made by :func:`zoo.graph`, read by builders.

    Graphs are immutable, and equal if all of their data is.

    Attributes:
        name: Name of the model.
        root: The whole network as a block.
        outputs: Its outputs; the first one is the logits.
        input_shape: The ``(channels, height, width)`` that the graph was made for.
        options: The options that it was made with.
        omitted: Top-level names of the spec that these options leave out (auxiliary heads).
        initializers: How the paper initializes parameters, by local name, where it says so.
        published: The paper's figures, by path name (empty for the whole network); see
            ``zoo.graphs.published``.
        about: Title, paper, year and the like.
        preprocessing: How a photograph becomes an input; see ``zoo.data.images``.
        classes: The names of the classes; empty if the spec does not name them.
        document: The spec itself, as plain data, with the variant applied.
        origin: The origin of the weights of a model: ``source``, ``file`` and ``license`` if the
            file is known to be published; otherwise ``names``, the source of its names, and
            ``file``. Empty if zoo initialized them.

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
        return {child.name: child for child in self.root.descendants}

    @property
    def num_parameters(self) -> int:
        """Number of trainable values."""
        return self.root.num_parameters

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass of one example."""
        return self.root.macs

    def __getitem__(self, path: str) -> Node | Block:
        """The node or block with a path name.

        Raises:
            UnknownNameError: There is no such node or block.
        """
        child = self._children.get(path) if isinstance(path, str) else None
        if child is None:
            hint = suggestion(path, self._children)
            raise UnknownNameError(
                f"{self.name} has no node or block {arguments.shown(path)}{hint}"
            )
        return child

    def node(self, path: str) -> Node:
        """The node with a path name; for the name of a block, the node of its output."""
        child = self[path]
        return child.output_node if isinstance(child, Block) else child

    @cached_property
    def output_nodes(self) -> dict[str, Node]:
        """Output name -> node."""
        return FrozenDict({output.name: self.node(output.step) for output in self.outputs})

    def named(self, outputs: Any) -> Mapping[str, Any]:
        """Return the outputs of a model as a dict by name.

        Raises:
            InputError: Outputs are missing.
        """
        named = outputs if isinstance(outputs, Mapping) else {self.outputs[0].name: outputs}
        missing = [output.name for output in self.outputs if output.name not in named]
        if missing:
            raise InputError(
                f"{self.name} returns {', '.join(o.name for o in self.outputs)} in a dict, and "
                f"{', '.join(missing)} are missing; pass the whole dict"
            )
        return named

    def total_loss(self, outputs: Any, loss: Callable[[Any, float], Any]) -> Any:
        """Sum a loss over the outputs.

        Args:
            outputs: The outputs of a model: one array, or a dict of arrays by name.
            loss: A function of an output and its weight that returns a scalar.
        """
        named = self.named(outputs)
        total, *losses = (loss(named[output.name], output.loss_weight) for output in self.outputs)
        for value in losses:
            total = total + value
        return total

    def summary(self, depth: int | None = 1) -> zoo.Summary:
        """Summarize the network; short for :func:`zoo.summary`.

        Args:
            depth: How many levels of blocks to open; None opens all.

        Raises:
            InputError: ``depth`` is neither None nor a positive integer.
        """
        import zoo  # the only use of a higher layer in this package

        return zoo.summary(self, depth)

    def without_dropout(self) -> Graph:
        """Return the network with every dropout rate set to 0, to make it deterministic."""
        return replace(self, root=_without_dropout(self.root))

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as plain data for ``json.dumps`` and :meth:`from_dict`.

        Example:
            >>> import json, zoo
            >>> text = json.dumps(zoo.graph("vgg16").to_dict())
            >>> Graph.from_dict(json.loads(text)).num_parameters
            138357544
        """
        return {"zoo_graph": FORMAT, **plain(self)}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Graph:
        """Make a graph from the data of :meth:`to_dict`, which is checked, not trusted.

        Raises:
            InputError: The data is not a graph, or has another format version.
        """
        if not isinstance(data, Mapping):
            raise arguments.wrong("data", "a mapping, as Graph.to_dict returns it", data)
        if "zoo_graph" not in data:
            raise InputError(
                "not a graph: the key 'zoo_graph' is missing; pass what Graph.to_dict returned"
            )
        version = data["zoo_graph"]
        if type(version) is not int or version != FORMAT:
            raise InputError(
                f"a graph in format {version!r:.20}, but this version of zoo reads format {FORMAT}"
            )
        try:
            graph = _read(Reader({k: v for k, v in data.items() if k != "zoo_graph"}, "$"))
        except RecursionError:
            raise InputError("not a graph: it is nested too deeply") from None
        _check_names(graph)
        return graph

    def __hash__(self) -> int:
        return hash((self.name, self.input_shape, self.outputs))  # hashing every node is slow

    def __deepcopy__(self, memo: object) -> Graph:
        return self  # a graph is immutable

    def __repr__(self) -> str:
        size = "x".join(map(str, self.input_shape))
        return (
            f"<Graph {self.name}: input {size}, {len(self.nodes)} nodes, "
            f"{self.num_parameters:,} parameters, {self.macs:,} MACs>"
        )


def _without_dropout(block: Block) -> Block:
    def without(child: Node | Block) -> Node | Block:
        if isinstance(child, Block):
            return _without_dropout(child)
        return replace(child, attributes={"rate": 0.0}) if "rate" in child.attributes else child

    return replace(block, steps=tuple(replace(s, child=without(s.child)) for s in block.steps))


def own_graph(model: object) -> Graph | None:
    """Return the graph that an object keeps as the model that zoo built; None for any other.

    A wrapper that looks up in a model what it lacks itself does not count.
    """
    graph = getattr(model, "__dict__", {}).get("zoo_graph")
    return graph if isinstance(graph, Graph) else None


def graph_of(model: Any) -> Graph:
    """Return the graph that a model was built from.

    Raises:
        BackendError: zoo did not build the model, or saving and loading it lost the graph.
    """
    network = own_graph(model)
    if network is None:
        if not callable(model):  # so it is no model at all
            raise BackendError(
                f"expected a model that zoo built, got {arguments.shown(model)}; build one with "
                "zoo.build"
            )
        raise BackendError(
            f"this {type(model).__name__} does not know its graph: it was not built by zoo, or was "
            "loaded by the framework's own loader; build it with zoo, and copy the weights over: "
            "zoo.set_weights(new, zoo.get_weights(old))"
        )
    return network


def _read(reader: Reader) -> Graph:
    fields = reader.fields(Graph)
    shape = fields["input_shape"].shape()
    if not isinstance(shape, Map):
        fields["input_shape"].fail("the shape of a map")
    return Graph(
        name=fields["name"].text(),
        root=blocks.read(fields["root"]),
        outputs=tuple(map(_read_output, fields["outputs"].items())),
        input_shape=shape,
        options={key: tuples(value) for key, value in fields["options"].mapping().items()},
        omitted=fields["omitted"].texts(),
        initializers=fields["initializers"].mapping(),
        published=_read_figures(fields["published"]),
        about=fields["about"].mapping(),
        preprocessing=fields["preprocessing"].mapping(),
        classes=fields["classes"].texts(),
        document=fields["document"].mapping(),
        origin=fields["origin"].mapping(),
    )


def _read_figures(reader: Reader) -> dict[str, Any]:
    figures = reader.mapping()
    if problem := problem_with_all(figures):
        raise InputError(f"not a graph: {reader.path}: {problem}")
    return figures


def _read_output(reader: Reader) -> Output:
    fields = reader.fields(Output)
    return Output(fields["name"].text(), fields["step"].text(), fields["loss_weight"].number())


def _check_names(graph: Graph) -> None:
    """Reject a graph in which a node or an output reads something that does not exist."""
    names = {"input"}
    for node in graph.nodes:
        if node.name in names or not set(node.inputs) <= names:
            raise InputError(
                f"not a graph: node {node.name!r:.60} is a duplicate, or reads a node that does "
                "not precede it"
            )
        names.add(node.name)
    steps = {step.name for step in graph.root.steps}
    if not graph.outputs or not {output.step for output in graph.outputs} <= steps:
        raise InputError("not a graph: it has no outputs, or one comes from no step")
