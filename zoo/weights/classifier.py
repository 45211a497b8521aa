"""The classifier of a network: what other classes replace."""

from __future__ import annotations

from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map


def nodes(graph: Graph) -> list[Node]:
    """Return the nodes with parameters behind the last map of features, from the output backwards.

    They are what Keras leaves out with ``include_top=False``. If there are none, as where a
    convolution classifies, it is the last node that has parameters.

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
    """Return the parameters of these nodes, those of the last first."""
    return [parameter for node in nodes(graph) for parameter in node.parameters]
