"""Operations that are made of others: a block with fields, under one name in the graph.

A composite needs no shape rule and no meaning of its own: both follow from its layers. A backend
may have a kernel for it. One that has none builds what :func:`expanded` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op
from zoo.ops.expressions import evaluate, is_expression
from zoo.ops.registry import OPS


class Composite(Op):
    """An operation of one input that a few layers express.

    A subclass declares ``expands``: layers as a spec has them, by name, in order. ``from`` names
    those that a layer reads, ``input`` being the operation's own input; without it, a layer reads
    the one before. Expressions may read the operation's fields and ``$input``.

    The node has the fields as its attributes, and the parameters of the layers, named
    ``<layer>.<parameter>``.
    """

    expands: ClassVar[Mapping[str, Mapping[str, Any]]]

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        nodes = self.nodes(inputs[0], layout)
        fields = {name: getattr(self, name) for name in self.own_fields()}
        return Inferred(
            nodes[-1].shape,
            fields,
            tuple(parameter for node in nodes for parameter in node.parameters),
            sum(node.macs for node in nodes),
            nodes[-1].layout,
        )

    def nodes(self, shape: NodeShape, layout: Map | None) -> tuple[Node, ...]:
        """Return the nodes of its layers, under their own names; they read each other, or input.

        Args:
            shape: Of the input.
            layout: The map that the input was flattened from, if it was.

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
            own = {k: v for k, v in layer.items() if k != "from"}
            names = {**fields, "input": shapes[0]._asdict()}
            inferred = _read(own, names).infer(shapes, values[sources[0]][1])
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

    @classmethod
    def meaning(cls, node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        values = {"input": inputs[0]}
        value = inputs[0]
        for inner in cls(**node.attributes).nodes(node.input_shapes[0], node.layout):
            start = f"{inner.name}."
            own = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
            value = OPS[inner.op].meaning(inner, [values[name] for name in inner.inputs], own)
            values[inner.name] = value
        return value


def expanded(node: Node) -> tuple[Node, ...]:
    """Return the nodes that a composite stands for, for a backend that has no kernel for it.

    Args:
        node: A node whose operation is a :class:`Composite`.

    Returns:
        Nodes named ``<node>.<layer>``, the last of which computes the node's value.
    """
    op = OPS[node.op]
    assert issubclass(op, Composite)
    inner = op(**node.attributes).nodes(node.input_shapes[0], node.layout)

    def full(name: str) -> str:
        return node.inputs[0] if name == "input" else f"{node.name}.{name}"

    return tuple(
        replace(
            each,
            name=full(each.name),
            inputs=tuple(map(full, each.inputs)),
            parameters=tuple([p.of(node.name) for p in each.parameters]),
        )
        for each in inner
    )


def _read(layer: Mapping[str, Any], names: Mapping[str, Any]) -> Op:
    """Make an operation of a layer whose expressions are computed."""

    def computed(value: Any) -> Any:
        if isinstance(value, list):
            return [computed(item) for item in value]
        return evaluate(value, names) if is_expression(value) else value

    return OPS[layer["op"]].read({key: computed(value) for key, value in layer.items()})
