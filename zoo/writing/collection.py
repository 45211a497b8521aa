"""Collects the instances of each block of a network, under all options that a file can vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError, SpecError
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.language.graphs import traced
from zoo.language.trace import Trace

#: What a spec states, by its fields: of a layer, or of all layers of a block.
Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Instance:
    """A block in one of several graphs.

    Attributes:
        number: The number of the graph.
        block: The block.
        names: What the spec's expressions in it may read.
    """

    number: int
    block: Block
    names: Mapping[str, Any]

    def child(self, name: str) -> Node | Block | None:
        """Return the child with a local name, if there is one."""
        return next((step.child for step in self.block.steps if step.name == name), None)


class Collection:
    """The same network with other classes, and with auxiliary heads.

    Args:
        graph: The network.
    """

    def __init__(self, graph: Graph) -> None:
        self.graphs: list[Graph] = []
        self.traces: list[Trace] = []
        for changes in _changes(graph):
            try:
                again, trace = traced(graph, **changes)
            except (SpecError, InputError):
                if not changes:
                    raise
                continue
            self.graphs.append(again)
            self.traces.append(trace)
        self.document: Mapping[str, Any] = graph.document
        self.uses: dict[str, list[Instance]] = {}
        self.kinds: dict[tuple[int, str], str] = {}
        for number, again in enumerate(self.graphs):
            self._collect(number, again.root)

    def _collect(self, number: int, block: Block) -> None:
        for step in block.steps:
            child = step.child
            if isinstance(child, Block):
                if use := self.traces[number].uses.get(child.name):
                    kind, arguments = use
                    self.uses.setdefault(kind, []).append(self.instance(number, child, arguments))
                    self.kinds[number, child.name] = kind
                self._collect(number, child)

    def instance(self, number: int, block: Block, arguments: Mapping[str, Any]) -> Instance:
        """Return a block as an instance that reads the arguments and all settings."""
        names = {**self.traces[number].names, **arguments, "input": _parts(block)}
        return Instance(number, block, names)

    def kind(self, number: int, block: Block) -> str | None:
        """Return the name of a block in the spec; None for a group."""
        return self.kinds.get((number, block.name))

    def repetitions(self, instance: Instance, key: str) -> list[tuple[str, Node | Block]]:
        """Return the names and children that a repeated layer of the spec became."""
        repeated = self.traces[instance.number].repeated
        return [
            (step.name, step.child)
            for step in instance.block.steps
            if repeated.get(step.child.name) == key
        ]


def _changes(graph: Graph) -> list[dict[str, Any]]:
    options = graph.options
    classes = {"num_classes": options["num_classes"] + 7} if options["num_classes"] else {}
    other = {"aux": not options["aux"]}
    if other["aux"] and not graph.omitted:
        other = {}
    changes: list[dict[str, Any]] = [{}]
    for change in (classes, other, {**classes, **other}):
        if change and change not in changes:
            changes.append(change)
    return changes


def _parts(block: Block) -> dict[str, int]:
    return dict(block.input_shape._asdict())
