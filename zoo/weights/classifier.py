"""The classifier of a network: the layers to replace for other classes."""

from __future__ import annotations

from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map


def nodes(graph: Graph) -> list[Node]:
    """Return the nodes with parameters after the last feature map, from the output backward.

    They are those that Keras omits with ``include_top=False``. If there are none, as in a network
    that classifies with a convolution, it is the last node with parameters.

    Example:
        >>> import zoo
        >>> [node.name for node in nodes(zoo.graph("vgg16"))]
        ['fc3', 'fc2', 'fc1']
    """
    by_name = {node.name: node for node in graph.nodes}
    node, found = next(iter(graph.output_nodes.values())), []
    while True:
        if node.parameters:
            found.append(node)
        behind_map = any(isinstance(s, Map) and s.height * s.width > 1 for s in node.input_shapes)
        if (behind_map and found) or len(node.inputs) != 1 or node.inputs[0] not in by_name:
            return found
        node = by_name[node.inputs[0]]


def parameters(graph: Graph) -> list[Parameter]:
    """Return the parameters of these nodes, starting with the last node."""
    return [parameter for node in nodes(graph) for parameter in node.parameters]
