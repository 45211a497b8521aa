"""Accesses a hand-written model by the names of a spec."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.api.models import Array
from zoo.backend.unwrapping import find, find_whole
from zoo.errors import InputError, UnknownNameError, WeightsError, suggestion
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape, text_of
from zoo.testing.calls import Calls, Match, match_calls
from zoo.weights import checking, classifier, sources
from zoo.weights import names as naming
from zoo.weights.checkpoint import Stored
from zoo.weights.slots import Slot, in_canonical_layout, slots_of


@dataclass
class HandWritten:
    """A hand-written model whose modules and weights are accessed by the spec's names.

    Attributes:
        model: The model.
        graph: The spec's network.
        names: The user's mapping: the spec's name -> the path of a module.
    """

    model: Any
    graph: Graph
    names: Mapping[str, str]

    def __post_init__(self) -> None:
        backend, self.model = (find if self.names else find_whole)(self.model)
        self.backend: Any = backend
        self.title = type(self.model).__name__
        blocks = [name for name, _ in _blocks(self.graph.root, "")]
        known = [*(node.name for node in self.graph.nodes), *blocks]
        patterns = {name: naming.pattern(name) for name in self.names}
        for name, pattern in patterns.items():
            if not any(map(pattern.fullmatch, known)):
                hint = suggestion(name, known)
                raise UnknownNameError(f"{self.graph.name} has no node or block {name!r}{hint}")
        self.channels_last = self.backend.CONVENTION["layouts"]["flatten"] == "HWC"
        self.table = self._table(patterns.values())
        rules = naming.rules(self.table.names(self.graph.name))
        paths = {name: path for name in known if (path := _path(name, rules))}
        matches = {name: [p.fullmatch(name) for p in patterns.values()] for name in paths}
        covered = {name for name in paths if any(matches[name])}
        # A module with a mapping is not also matched by its own name.
        taken = {paths[name] for name in covered}
        self.paths = {n: path for n, path in paths.items() if n in covered or path not in taken}
        #: names that are mapped themselves, not only through an enclosing block
        self.mapped = {n for n in covered if any(m and m.groups()[-1] is None for m in matches[n])}
        self.modules: Mapping[str, Any] = self.backend.named_modules(self.model)
        self._check_paths(paths)

    def _table(self, patterns: Collection[re.Pattern[str]]) -> sources.Source:
        """Describe the model as a source of weights, by the user's mapping."""
        steps = (step.name for step in self.graph.root.steps)
        unmapped = {name: name for name in steps if not any(p.fullmatch(name) for p in patterns)}
        return sources.Source.model_validate(
            {
                "format": 1,
                "name": "hand_written",
                "title": self.title,
                "url": "",
                "license": "",
                "formats": [],
                "networks": {self.graph.name: {"names": {**unmapped, **self.names}}},
                **self.backend.CONVENTION,
            }
        )

    def _check_paths(self, paths: Mapping[str, str]) -> None:
        parents = {path[:i] for path in self.modules for i, char in enumerate(path) if char == "."}
        for name in sorted(self.mapped):
            if paths[name] not in self.modules.keys() | parents:
                raise InputError(
                    f"names: {self.title} has no module {paths[name]!r} (for {name})"
                    + suggestion(paths[name], self.modules)
                )

    @property
    def unbuilt(self) -> bool:
        """Whether some layers do not create their weights until they are first called."""
        return any(getattr(module, "built", True) is False for module in self.modules.values())

    def observe(self, x: Array) -> tuple[Any, dict[str, Match]]:
        """Return the model's outputs, and node name -> the values that it may compute there."""
        result, values = self.backend.observe(self.model, x, set(self.paths.values()))
        calls: dict[int, Calls] = {}
        for name, path in self.paths.items():
            if path in values:  # paths of the same module share one list
                key = id(values[path])
                calls.setdefault(key, Calls(values[path], self.modules[path])).names.append(name)
        matches = match_calls(self.graph, self.mapped, calls.values())
        for name, match in matches.items():
            node = self.graph.node(name)
            match.values = [self.canonical(value, node) for value in match.values]
        return result, matches

    @property
    def dropouts(self) -> list[str]:
        """Paths of dropout and stochastic depth modules, recognized by their class names."""
        kinds = {path: type(module).__name__.lower() for path, module in self.modules.items()}
        return [p for p, kind in kinds.items() if "drop" in kind or kind == "stochasticdepth"]

    def check_rates(self) -> None:
        """Compare dropout rates, which have no effect on values in evaluation mode.

        Raises:
            AssertionError: A rate differs from the spec's.
        """
        for node in self.graph.nodes:
            expected, path = node.attributes.get("rate"), self.paths.get(node.name)
            module = self.modules.get(path or "")
            rates = (getattr(module, name, None) for name in ("p", "rate", "drop_prob"))
            rate = next((value for value in rates if isinstance(value, int | float)), None)
            if expected is not None and rate is not None and abs(rate - expected) > 1e-6:
                raise AssertionError(
                    f"{self.title} is not {self.graph.name}: {path} has a dropout rate of "
                    f"{rate:g}, the spec's {node.name} has {expected:g}"
                )

    def weights(self, arrays: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return the model's weights by canonical name, in canonical layouts.

        Args:
            arrays: Weights by the model's own names; the current ones if not given.

        Raises:
            AssertionError: The weights do not fit the spec.
        """
        return self._canonical(arrays or self.backend.own_weights(self.model), "weights")

    def gradients(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The same for gradients of trainable parameters."""
        return self._canonical(arrays, "gradients", only_trainable=True)

    def canonical(self, value: Array, node: Node) -> Array:
        """Convert a node's value to [N, C, H, W], or to [N, features] in CHW order."""
        if not self.channels_last:
            return value
        return channels_first(value, node.layout if value.shape[1:] == node.shape else None)

    def _canonical(
        self, arrays: Mapping[str, Array], kind: str, only_trainable: bool = False
    ) -> dict[str, Array]:
        remaining = {k: v for k, v in arrays.items() if not self.table.leaves_out(k)}
        canonical: dict[str, Array] = {}
        for name, slot in slots_of(self.table, self.graph).items():
            key = next((key for key in slot.names if key in remaining), None)
            if key is not None:
                canonical[name] = _in_canonical_layout(remaining.pop(key), slot)
        canonical.update({f"{key} ({self.title}'s name)": v for key, v in remaining.items()})
        expected = {
            p.name: p.shape for p in self.graph.parameters if not only_trainable or p.trainable
        }
        shapes = {name: (value.shape, value.dtype.name) for name, value in canonical.items()}
        wrong = {
            name: (shape, canonical[name].shape)
            for name, shape in expected.items()
            if name in canonical and canonical[name].shape != shape
        }
        hint = ""
        if remaining and not expected.keys() <= canonical.keys():
            hint = f"Map the spec's names to modules of {self.title} with names."
        elif count := self._other_classes(wrong):
            hint = (
                f"It has {count} classes: compare it with zoo.graph({self.graph.name!r}, "
                f"num_classes={count})."
            )
        elif wrong and _differ_in(1, *next(iter(wrong.values()))):  # as inputs of another size do
            hint = f"{self.graph.name} expects inputs of {text_of(self.graph.input_shape)}."
        try:
            checking.check(
                expected, shapes, (), f"the {kind} of {self.title}", hint, self.graph.name
            )
        except WeightsError as problem:
            raise AssertionError(str(problem)) from None
        return canonical

    def _other_classes(self, wrong: Mapping[str, tuple[Shape, Shape]]) -> int:
        """The number of classes, if that alone is why shapes are wrong; otherwise 0."""
        if not wrong or not all(_differ_in(0, *shapes) for shapes in wrong.values()):
            return 0
        last = {p.name for p in classifier.nodes(self.graph)[0].parameters}
        counts = {actual[0] for _, actual in wrong.values()}
        return counts.pop() if last.issuperset(wrong) and len(counts) == 1 else 0


def _differ_in(axis: int, shape: Shape, other: Shape) -> bool:
    """Tell whether two shapes differ in this axis only."""
    axes = [i for i, (a, b) in enumerate(zip(shape, other, strict=False)) if a != b]
    return len(shape) == len(other) and axes == [axis]


def _blocks(block: Block, prefix: str) -> Iterator[tuple[str, Block]]:
    """Every block inside a block, with its path."""
    for step in block.steps:
        if isinstance(step.child, Block):
            path = f"{prefix}{step.name}"
            yield path, step.child
            yield from _blocks(step.child, f"{path}.")


def _path(name: str, rules: list[naming.Rule]) -> str | None:
    """The path of the hand-written module for a node or block."""
    paths = naming.translated(f"{name}._", rules, {}, "_", [""])
    return paths[0].removesuffix(".") if paths else None


def _in_canonical_layout(value: Array, slot: Slot) -> Array:
    stored = Stored(value.shape, value.dtype.name, lambda: value)
    return in_canonical_layout(stored, slot).read()
