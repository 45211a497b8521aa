"""Finds the node that each call of a hand-written model's modules belongs to.

A module may be called several times, as one ``self.relu`` often is. It may also return the value of
a later node than the one whose weights it has, as a layer with a built-in activation does.
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
class Seen:
    """The values that a hand-written model may have at a node.

    Attributes:
        values: Of each call of the module, in any order, since branches may be computed in any.
        call: Which of them belongs to the node if each of the module's nodes has one, in order.
        sure: Whether the user mapped it, or the module has the node's weights. Otherwise it merely
            has the same name, which helps to locate a difference and is none by itself.
        inside: The module's built-in activation; empty if there is none.
    """

    values: list[Array]
    call: int | None
    sure: bool
    inside: str = ""


def seen(graph: Graph, said: Collection[str], modules: Iterable[Calls]) -> dict[str, Seen]:
    """Assign values to nodes.

    Args:
        graph: The spec's network.
        said: Names of nodes and blocks that the user mapped.
        modules: What the modules that ran returned.

    Returns:
        Name of a node -> the values that the model may have there.
    """
    found: dict[str, Seen] = {}
    order = {node.name: i for i, node in enumerate(graph.nodes)}
    for module in modules:
        sure = [n for n in module.names if n in said or graph.node(n).parameters]
        nodes = {graph.node(name).name for name in sure or module.names}
        chosen = sorted(nodes, key=order.__getitem__)
        if len(chosen) > 1 and any(graph.node(name).parameters for name in chosen):
            chosen = chosen[-1:]  # it has the weights of one node, and returns the value of a later
        inside = ""
        if len(chosen) == 1 and graph.node(chosen[0]).parameters:
            inside = _activation(module.module)
        after = _activation_after(graph, chosen[0]) if inside else None
        if after and after.name not in said:
            chosen = [after.name]
        for i, name in enumerate(chosen):
            call = i if len(chosen) == len(module.values) else None
            before = found.get(name)
            # A node's own module is more specific than a block whose output it is.
            if before is None or (bool(sure), name in module.names) > (before.sure, False):
                found[name] = Seen(list(module.values), call, bool(sure), inside)
    return found


def _activation(module: Any) -> str:
    """A layer's built-in activation, as Keras has it; empty if there is none."""
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
