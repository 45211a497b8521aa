"""Which node each call of a hand-written model's modules belongs to.

A module may be called several times, as one ``self.relu`` often is; and may give the value of a
later node than the one whose weights it has, as a layer with an activation inside does.
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
    """What one module gave, call by call, and the spec's names that lead to it."""

    values: list[Array]
    module: Any
    names: list[str] = field(default_factory=list)


@dataclass
class Seen:
    """What a hand-written model may have at a node.

    Attributes:
        values: Of each call of the module; in any order, for branches may be computed in any.
        call: Which of them is the node's if each of the module's nodes had one, in order.
        sure: Whether the user said so, or the module has the node's weights; else it is merely
            called alike, which helps to find a difference and is none by itself.
        inside: The activation that the module applies by itself; empty if there is none.
    """

    values: list[Array]
    call: int | None
    sure: bool
    inside: str = ""


def seen(graph: Graph, said: Collection[str], modules: Iterable[Calls]) -> dict[str, Seen]:
    """Say what is seen at each node.

    Args:
        graph: The spec's.
        said: Names of nodes and blocks that the user gave.
        modules: What the modules that ran gave.

    Returns:
        Name of a node -> what the model may have there.
    """
    found: dict[str, Seen] = {}
    order = {node.name: i for i, node in enumerate(graph.nodes)}
    for module in modules:
        sure = [n for n in module.names if n in said or graph.node(n).parameters]
        nodes = {graph.node(name).name for name in sure or module.names}
        chosen = sorted(nodes, key=order.__getitem__)
        if len(chosen) > 1 and any(graph.node(name).parameters for name in chosen):
            chosen = chosen[-1:]  # it holds the weights of one node, and gives the value of a later
        inside = ""
        if len(chosen) == 1 and graph.node(chosen[0]).parameters:
            inside = _activation(module.module)
        after = _activation_after(graph, chosen[0]) if inside else None
        if after and after.name not in said:
            chosen = [after.name]
        for i, name in enumerate(chosen):
            call = i if len(chosen) == len(module.values) else None
            before = found.get(name)
            # A node's own module says more than a block's whose output it is.
            if before is None or (bool(sure), name in module.names) > (before.sure, False):
                found[name] = Seen(list(module.values), call, bool(sure), inside)
    return found


def _activation(module: Any) -> str:
    """The activation that a layer applies by itself, in Keras' words; empty if there is none."""
    activation = getattr(module, "activation", None)
    if not callable(activation):
        return ""
    name = str(getattr(activation, "__name__", None) or getattr(activation, "name", "activation"))
    return "" if name == "linear" else name


def _activation_after(graph: Graph, name: str) -> Node | None:
    """The activation that is all that reads a node."""
    readers = [node for node in graph.nodes if name in node.inputs]
    if len(readers) != 1 or any(output.name == name for output in graph.output_nodes.values()):
        return None
    return readers[0] if issubclass(OPS[readers[0].op], Activation) else None
