"""Operations that are composed of others: a block with fields, and a single node in the graph.

A composite needs no shape rule and no definition: both follow from its layers. A backend may have a
kernel for it. For a backend without one, :func:`opened` replaces the node with the layers.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from zoo.graphs.blocks import Block, Step, releasing
from zoo.graphs.graph import Graph
from zoo.graphs.names import problem_with
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op
from zoo.ops.expressions import evaluate, is_expression
from zoo.ops.registry import OPS


class Composite(Op):
    """An operation of one input that is composed of a few layers.

    A subclass declares ``expands``: layers by name, in order, written as in a spec. ``from`` names
    the layers that a layer reads; ``input`` is the input of the operation. Without ``from``, a
    layer reads the previous one. Expressions may read the fields of the operation and ``$input``.

    The node has the fields as its attributes, ``layout`` if its input is a flattened map, and the
    parameters of the layers, named ``<layer>.<parameter>``.
    """

    expands: ClassVar[Mapping[str, Mapping[str, Any]]]

    def __init_subclass__(cls) -> None:
        """Check the names of the layers, which become attributes of the frameworks' modules."""
        super().__init_subclass__()
        for name in getattr(cls, "expands", ()):
            if problem := problem_with(name):
                raise ValueError(f"{cls.__name__}: {problem}")

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        nodes = self.nodes(inputs[0], layout)
        attributes = {name: getattr(self, name) for name in self.own_fields()}
        if layout is not None:
            attributes["layout"] = layout
        return Inferred(
            nodes[-1].shape,
            attributes,
            tuple(parameter for node in nodes for parameter in node.parameters),
            sum(node.macs for node in nodes),
            nodes[-1].layout,
        )

    def nodes(self, shape: NodeShape, layout: Map | None) -> tuple[Node, ...]:
        """Return the nodes of its layers, with local names; they read one another, or ``input``.

        Args:
            shape: The shape of the input.
            layout: The shape of the map that the input was flattened from, if any.

        Raises:
            ShapeError: The input does not fit.
        """
        values = {"input": (shape, layout)}
        fields = {name: getattr(self, name) for name in self.own_fields()}
        nodes: list[Node] = []
        for name, layer in self.expands.items():
            sources = layer.get("from", nodes[-1].name if nodes else "input")
            sources = [sources] if isinstance(sources, str) else sources
            shapes = tuple(values[source][0] for source in sources)
            operation = {k: v for k, v in layer.items() if k != "from"}
            names = {**fields, "input": shapes[0]._asdict()}
            inferred = _read(operation, names).infer(shapes, values[sources[0]][1])
            nodes.append(
                Node(
                    name,
                    layer["op"],
                    tuple(sources),
                    shapes,
                    inferred.shape,
                    inferred.attributes,
                    tuple([p.of(name) for p in inferred.parameters]),
                    inferred.macs,
                    inferred.layout,
                )
            )
            values[name] = inferred.shape, inferred.layout
        return tuple(nodes)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        values = {"input": inputs[0]}
        value = inputs[0]
        for inner in _layers(node):
            prefix = f"{inner.name}."
            local = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            value = OPS[inner.op].meaning(inner, [values[name] for name in inner.inputs], local)
            values[inner.name] = value
        return value


def opened(graph: Graph, kernels: Container[str]) -> Graph:
    """Return a graph in which composites are replaced by blocks of their layers.

    Args:
        graph: The network.
        kernels: Operations to keep, since the backend has a kernel for them.

    Returns:
        The graph itself if there is nothing to open. A node becomes a block of the same name; all
        other names, and those of the parameters, stay the same.
    """
    root = _opened(graph.root, kernels)
    return graph if root is graph.root else replace(graph, root=root)


def _opened(block: Block, kernels: Container[str]) -> Block:
    steps = tuple(
        step if child is step.child else replace(step, child=child)
        for step in block.steps
        for child in [_child(step.child, kernels)]
    )
    unchanged = all(new is old for new, old in zip(steps, block.steps, strict=True))
    return block if unchanged else replace(block, steps=steps)


def _child(child: Node | Block, kernels: Container[str]) -> Node | Block:
    if isinstance(child, Block):
        return _opened(child, kernels)
    op = OPS.get(child.op)
    if child.op in kernels or op is None or not issubclass(op, Composite):
        return child
    return _opened(as_block(child), kernels)


def as_block(node: Node) -> Block:
    """Return the block of layers that a composite stands for.

    Args:
        node: A node whose operation is a :class:`Composite`.

    Returns:
        A block with the name of the node, whose nodes are named ``<node>.<layer>``.
    """
    layers = _layers(node)

    def path(name: str) -> str:
        return node.inputs[0] if name == "input" else f"{node.name}.{name}"

    steps = [
        Step(
            layer.name,
            layer.inputs,
            replace(
                layer,
                name=path(layer.name),
                inputs=tuple(map(path, layer.inputs)),
                parameters=tuple([p.of(node.name) for p in layer.parameters]),
            ),
        )
        for layer in layers
    ]
    output = layers[-1].name
    return Block(
        node.name, node.op, releasing(steps, {output}), output, node.input_shapes[0], node.shape
    )


def _layers(node: Node) -> tuple[Node, ...]:
    """Return the nodes of the layers of a composite, with local names."""
    op = OPS[node.op]
    assert issubclass(op, Composite)
    fields = {name: node.attributes[name] for name in op.own_fields()}
    return op(**fields).nodes(node.input_shapes[0], node.attributes.get("layout"))


def _read(layer: Mapping[str, Any], names: Mapping[str, Any]) -> Op:
    """Make an operation from a layer, after evaluating its expressions."""

    def computed(value: Any) -> Any:
        if isinstance(value, list):
            return [computed(item) for item in value]
        return evaluate(value, names) if is_expression(value) else value

    return OPS[layer["op"]].read({key: computed(value) for key, value in layer.items()})
