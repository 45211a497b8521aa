"""Rewrites graphs: the same network, with other settings of some of its operations.

Names and shapes of parameters stay as they are, so that the rewritten network takes the same
weights. Every framework builds the result as it builds any graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.ops import OPS
from zoo.ops.base import ShapeError

#: Operations whose windows are placed by a padding -> the fields that their nodes keep.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "conv": ("out_channels", "kernel_size", "stride", "dilation", "groups", "bias"),
    "max_pool": ("kernel_size", "stride"),
    "avg_pool": ("kernel_size", "stride"),
}


def rewritten(graph: Graph, change: Callable[[Node], Mapping[str, Any]]) -> Graph:
    """Return a graph with other attributes of some nodes.

    Args:
        graph: The graph, which is not changed.
        change: Returns the attributes of a node that are to be others.
    """
    return replace(graph, root=_rewritten(graph.root, change))


def with_attribute(graph: Graph, op: str, name: str, value: Any) -> Graph:
    """Return a graph in which an attribute of all nodes of an operation has a value.

    Example:
        >>> import zoo
        >>> graph = with_attribute(zoo.graph("resnet18"), "batch_norm", "momentum", 0.9)
        >>> graph.node("conv1.bn").attributes["momentum"]
        0.9
    """
    return rewritten(graph, lambda node: {name: value} if node.op == op else {})


def with_same_padding(graph: Graph) -> Graph:
    """Return a graph in which padded layers with a stride are padded as by ``same``.

    The odd pixel is then at the end. Only layers whose output keeps its size are changed: a layer
    without padding, for example, is ``valid`` to users of ``same``.

    Example:
        >>> import zoo
        >>> graph = with_same_padding(zoo.graph("resnet18"))
        >>> graph.node("conv1.conv").attributes["padding"]
        (2, 3, 2, 3)
    """

    def change(node: Node) -> Mapping[str, Any]:
        attributes = node.attributes
        strided = node.op in _FIELDS and attributes["stride"] != (1, 1)
        return _inferred(node, padding="same") if strided and any(attributes["padding"]) else {}

    return rewritten(graph, change)


def with_padding_counted(graph: Graph, counted: bool) -> Graph:
    """Return a graph whose average pools count their padding, or do not.

    Padding that a ``ceil_mode`` adds is never counted.
    """

    def change(node: Node) -> Mapping[str, Any]:
        if node.op != "avg_pool" or not any(node.attributes["padding"]):
            return {}
        if not counted:
            return {"counted": (0, 0, 0, 0)}
        stated = node.attributes.get("stated", node.attributes["padding"])
        return {"counted": None if stated == node.attributes["padding"] else stated}

    return rewritten(graph, change)


def nodes_of(graph: Graph, op: str) -> list[Node]:
    """Return the nodes of an operation."""
    return [node for node in graph.nodes if node.op == op]


def _inferred(node: Node, **fields: Any) -> Mapping[str, Any]:
    """Return the attributes of a node whose layer is stated in another way; none if it differs."""
    given = {name: _plain(node.attributes[name]) for name in _FIELDS[node.op]}
    if node.op == "avg_pool":
        given["count_include_pad"] = node.attributes["counted"] != (0, 0, 0, 0)
    try:
        found = OPS[node.op](**given, **fields).infer(node.input_shapes, None)
    except ShapeError:
        return {}
    return found.attributes if found.shape == node.shape else {}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _rewritten(block: Block, change: Callable[[Node], Mapping[str, Any]]) -> Block:
    def of(child: Node | Block) -> Node | Block:
        if isinstance(child, Block):
            return _rewritten(child, change)
        changed = change(child)
        return replace(child, attributes={**child.attributes, **changed}) if changed else child

    return replace(block, steps=tuple(replace(step, child=of(step.child)) for step in block.steps))
