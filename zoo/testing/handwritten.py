"""A hand-written model, seen through the names of a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.api.models import Array
from zoo.backend import registry
from zoo.errors import InputError, UnknownNameError, WeightsError, suggestion
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import text_of
from zoo.testing.calls import Calls, Seen, seen
from zoo.weights import checking, sources
from zoo.weights import names as naming
from zoo.weights.checkpoint import Stored
from zoo.weights.slots import Slot, in_canonical_layout, slots_of


@dataclass
class HandWritten:
    """A hand-written model, seen through the names of the spec."""

    model: Any
    graph: Graph
    given: Mapping[str, str]

    def __post_init__(self) -> None:
        self.backend: Any = registry.of(self.model)
        self.title = type(self.model).__name__
        blocks = [name for name, _ in _blocks(self.graph.root, "")]
        known = [*(node.name for node in self.graph.nodes), *blocks]
        mapped = {name: naming.pattern(name) for name in self.given}
        for name, pattern in mapped.items():
            if not any(pattern.fullmatch(each) for each in known):
                hint = suggestion(name, known)
                raise UnknownNameError(f"{self.graph.name} has no node or block {name!r}.{hint}")
        steps = (step.name for step in self.graph.root.steps)
        top = {name: name for name in steps if not any(p.fullmatch(name) for p in mapped.values())}
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
        paths = {name: path for name in known if (path := _path(name, rules))}
        # What a given name leads to is not also what happens to be called alike.
        matches = {name: [p.fullmatch(name) for p in mapped.values()] for name in paths}
        given = {name for name, found in matches.items() if any(found)}
        taken = {paths[name] for name in given}
        self.paths = {n: path for n, path in paths.items() if n in given or path not in taken}
        #: what ``names`` speaks of itself, and not merely what is under it
        self.said = {n for n in given if any(m and m.groups()[-1] is None for m in matches[n])}
        self.modules: Mapping[str, Any] = self.backend.named_modules(self.model)
        self._check_paths(paths)

    def _check_paths(self, paths: Mapping[str, str]) -> None:
        within = {path[:i] for path in self.modules for i, sign in enumerate(path) if sign == "."}
        for name in sorted(self.said):
            if paths[name] not in self.modules.keys() | within:
                raise InputError(
                    f"names: {self.title} has no module {paths[name]!r} (for {name})."
                    + suggestion(paths[name], self.modules)
                )

    @property
    def unmade(self) -> bool:
        """Whether there are layers whose weights are first made when they are called."""
        return any(getattr(each, "built", True) is False for each in self.modules.values())

    def observed(self, x: Array) -> tuple[Any, dict[str, Seen]]:
        """What the model returns, and the spec's name of a node -> what the model has there."""
        result, found = self.backend.observe(self.model, x, set(self.paths.values()))
        together: dict[int, Calls] = {}
        for name, path in self.paths.items():
            if path in found:  # what is one module's is one list
                calls = together.setdefault(id(found[path]), Calls(found[path], self.modules[path]))
                calls.names.append(name)
        values = seen(self.graph, self.said, together.values())
        for name, each in values.items():
            node = self.graph.node(name)
            each.values = [self.canonical(value, node) for value in each.values]
        return result, values

    @property
    def dropouts(self) -> list[str]:
        """Paths of what drops values or examples in training, by what its class is called."""
        kinds = {path: type(each).__name__.lower() for path, each in self.modules.items()}
        return [p for p, kind in kinds.items() if "drop" in kind or kind == "stochasticdepth"]

    def check_rates(self) -> None:
        """Compare the rates of dropouts that the spec's lead to, which no value shows."""
        for node in self.graph.nodes:
            wanted, path = node.attributes.get("rate"), self.paths.get(node.name)
            module = self.modules.get(path or "")
            told = (getattr(module, name, None) for name in ("p", "rate", "drop_prob"))
            rate = next((each for each in told if isinstance(each, int | float)), None)
            if wanted is not None and rate is not None and abs(rate - wanted) > 1e-6:
                raise AssertionError(
                    f"{self.title} is not {self.graph.name}: {path} drops at a rate of {rate:g}, "
                    f"the spec's {node.name} at {wanted:g}"
                )

    def weights(self, own: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Its weights, or these, under the spec's names and in canonical layouts, strictly."""
        return self._placed(own or self.backend.own_weights(self.model), "weights")

    def gradients(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """The same of gradients."""
        return self._placed(found, "gradients", only_trainable=True)

    def canonical(self, value: Array, node: Node) -> Array:
        """Turn a value to [N, C, H, W] or [N, features] in CHW order."""
        if not self.last:
            return value
        return channels_first(value, node.layout if value.shape[1:] == node.shape else None)

    def _placed(
        self, own: Mapping[str, Array], what: str, only_trainable: bool = False
    ) -> dict[str, Array]:
        kept = {k: v for k, v in own.items() if not self.table.leaves_out(k)}
        found: dict[str, Array] = {}
        for name, slot in slots_of(self.table, self.graph).items():
            key = next((key for key in slot.names if key in kept), None)
            if key is not None:
                found[name] = _in_canonical_layout(kept.pop(key), slot)
        found.update({f"{key} ({self.title}'s name)": value for key, value in kept.items()})
        expected = {
            p.name: p.shape for p in self.graph.parameters if not only_trainable or p.trainable
        }
        shapes = {name: (value.shape, value.dtype.name) for name, value in found.items()}
        hint = ""
        if kept and not expected.keys() <= found.keys():
            hint = f"Say in names which module of {self.title} is which of the spec's."
        elif any(n in found and found[n].shape != shape for n, shape in expected.items()):
            hint = f"{self.graph.name} is made for inputs of {text_of(self.graph.input_shape)}."
        try:
            checking.check(
                expected, shapes, (), f"the {what} of {self.title}", hint, self.graph.name
            )
        except WeightsError as problem:
            raise AssertionError(str(problem)) from None
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


def _in_canonical_layout(value: Array, slot: Slot) -> Array:
    stored = Stored(value.shape, value.dtype.name, lambda: value)
    return in_canonical_layout(stored, slot).read()
