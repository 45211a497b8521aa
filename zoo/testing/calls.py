"""Matches the calls of a hand-written model's modules with the nodes of a spec.

A module may be called several times, as a single ``self.relu`` often is. It may also return the
value of a later node than the one whose weights it holds, as a layer with a built-in activation
does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from zoo.api.models import Array
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.ops import OPS
from zoo.ops.activations import Activation


@dataclass
class Calls:
    """What one module returned, call by call, and the spec's names that map to it."""

    values: list[Array]
    module: Any
    names: list[str] = field(default_factory=list)


@dataclass
class Match:
    """The values that a hand-written model may compute for a node.

    Attributes:
        values: One for each call of the module. The order of calls may differ from the spec's,
            because branches can be computed in any order.
        call: The index of the call that belongs to the node, if the module has exactly one call
            per node.
        certain: Whether the user mapped the module, or it holds the node's weights. Otherwise it
            only has the same name, which helps to locate a mismatch but does not prove one.
        activation: The module's built-in activation; empty if there is none.
    """

    values: list[Array]
    call: int | None
    certain: bool
    activation: str = ""


def match_calls(
    graph: Graph, mapped: Collection[str], modules: Iterable[Calls]
) -> dict[str, Match]:
    """Assign the values that modules returned to nodes.

    Args:
        graph: The spec's network.
        mapped: Names of nodes and blocks that the user mapped.
        modules: The modules that ran, with what they returned.

    Returns:
        Node name -> the values that the model may compute there.
    """
    matches: dict[str, Match] = {}
    order = {node.name: i for i, node in enumerate(graph.nodes)}
    for module in modules:
        certain = [n for n in module.names if n in mapped or graph.node(n).parameters]
        names = {graph.node(name).name for name in certain or module.names}
        nodes = sorted(names, key=order.__getitem__)
        if len(nodes) > 1 and any(graph.node(name).parameters for name in nodes):
            nodes = nodes[-1:]  # it holds the weights of one node and returns a later one's value
        activation = ""
        if len(nodes) == 1 and graph.node(nodes[0]).parameters:
            activation = _builtin_activation(module.module)
        following = _activation_after(graph, nodes[0]) if activation else None
        if following and following.name not in mapped:
            nodes = [following.name]
        for i, name in enumerate(nodes):
            call = i if len(nodes) == len(module.values) else None
            previous = matches.get(name)
            # A node's own module is more specific than a block that ends with the node.
            rank = (bool(certain), name in module.names)
            if previous is None or rank > (previous.certain, False):
                matches[name] = Match(list(module.values), call, bool(certain), activation)
    return matches


def _builtin_activation(module: Any) -> str:
    """The name of a layer's built-in activation, as in Keras; empty if there is none."""
    activation = getattr(module, "activation", None)
    if not callable(activation):
        return ""
    name = str(getattr(activation, "__name__", None) or getattr(activation, "name", "activation"))
    return "" if name == "linear" else name


def _activation_after(graph: Graph, name: str) -> Node | None:
    """The activation that is the only reader of a node."""
    readers = [node for node in graph.nodes if name in node.inputs]
    if len(readers) != 1 or any(output.name == name for output in graph.output_nodes.values()):
        return None
    return readers[0] if issubclass(OPS[readers[0].op], Activation) else None
