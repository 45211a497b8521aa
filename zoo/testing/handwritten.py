"""A hand-written model, seen through the names of a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zoo import backends
from zoo import weights as strict
from zoo.api import Array
from zoo.checkpoints import names as naming
from zoo.checkpoints import sources
from zoo.checkpoints.stored import Stored
from zoo.errors import UnknownNameError, WeightsError, suggestion
from zoo.layouts import channels_first
from zoo.network import Block, Graph, Node


@dataclass
class HandWritten:
    """A hand-written model, seen through the names of the spec."""

    model: Any
    graph: Graph
    given: Mapping[str, str]

    def __post_init__(self) -> None:
        self.backend: Any = backends.of(self.model)
        self.title = type(self.model).__name__
        blocks = dict(_blocks(self.graph.root, ""))
        known = {node.name for node in self.graph.nodes} | blocks.keys()
        for name in self.given:
            pattern = naming.pattern(name)
            if not any(pattern.fullmatch(each) for each in known):
                hint = suggestion(name, known)
                raise UnknownNameError(f"{self.graph.name} has no node or block {name!r}.{hint}")
        mapped = [naming.pattern(name) for name in self.given]
        steps = (step.name for step in self.graph.root.steps)
        top = {name: name for name in steps if not any(p.fullmatch(name) for p in mapped)}
        convention = self.backend.CONVENTION
        self.table = sources.Source.model_validate(
            {
                "format": 1,
                "name": "mine",
                "title": self.title,
                "url": "",
                "licence": "",
                "formats": [],
                "networks": {self.graph.name: {"names": {**top, **self.given}}},
                **convention,
            }
        )
        self.last = convention["layouts"]["flatten"] == "HWC"
        rules = naming.rules(self.table.names(self.graph.name))
        each = [node.name for node in self.graph.nodes]
        paths = {name: _path(name, rules) for name in (*each, *blocks)}
        # What a given name leads to is not also what happens to be called alike.
        given = {name for name in paths if any(p.fullmatch(name) for p in mapped)}
        taken = {paths[name] for name in given}
        self.paths = {n: path for n, path in paths.items() if n in given or path not in taken}
        self.node_of = {name: self.graph.node(name) for name in self.paths}

    def observed(self, x: Array) -> tuple[Any, dict[str, Array]]:
        """What the model returns, and the spec's name of a node -> what the model has there."""
        wanted = {path for path in self.paths.values() if path}
        result, found = self.backend.observe(self.model, x, wanted)
        values: dict[str, Array] = {}
        for name, path in self.paths.items():
            node = self.node_of[name]
            if path in found and (node.name not in values or name == node.name):
                values[node.name] = self.canonical(found[path], node)
        return result, values

    def weights(self) -> dict[str, Array]:
        """Its weights under the spec's names and in canonical layouts, strictly."""
        return self._placed(self.backend.own_weights(self.model), "")

    def gradients(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """The same of gradients."""
        return self._placed(found, "gradients of ", only_trainable=True)

    def canonical(self, value: Array, node: Node) -> Array:
        """Turn a value to [N, C, H, W] or [N, features] in CHW order."""
        return channels_first(value, node.layout) if self.last else value

    def _placed(
        self, own: Mapping[str, Array], what: str, only_trainable: bool = False
    ) -> dict[str, Array]:
        kept = {k: v for k, v in own.items() if not sources.is_left_out(self.table, k)}
        found: dict[str, Array] = {}
        trainable = {p.name for p in self.graph.parameters if p.trainable}
        for name, place in sources.places(self.table, self.graph).items():
            key = next((key for key in place.names if key in kept), None)
            if key is not None:
                found[name] = _laid(kept.pop(key), place, self.last)
        found.update({f"{key} ({self.title}'s name)": value for key, value in kept.items()})
        expected = {
            p.name: p.shape
            for p in self.graph.parameters
            if not only_trainable or p.name in trainable
        }
        shapes = {name: (value.shape, value.dtype.name) for name, value in found.items()}
        try:
            strict.check(expected, shapes, (), f"the {what}{self.title}", "")
        except WeightsError as problem:
            raise AssertionError(f"{self.title} is not {self.graph.name}: {problem}") from None
        return found


def _blocks(block: Block, before: str) -> Iterator[tuple[str, Block]]:
    for step in block.steps:
        if isinstance(step.child, Block):
            path = f"{before}{step.name}"
            yield path, step.child
            yield from _blocks(step.child, f"{path}.")


def _path(name: str, rules: list[naming.Rule]) -> str | None:
    """The hand-written path of a node or block."""
    found = naming.translated(f"{name}._", rules, {}, "_", [""])
    return found[0].removesuffix(".") if found else None


def _laid(value: Array, place: sources.Place, flattened_last: bool) -> Array:
    stored = Stored(value.shape, value.dtype.name, lambda: value)
    return sources.laid(stored, place, flattened_last).read()
