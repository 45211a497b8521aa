"""Holds models that people write by hand, in any framework, against a spec.

    zoo.testing.assert_same(my_model, "googlenet", x, names={"conv1": "stem.conv", ...})

The weights of the hand-written model are put into the spec's network by name, both compute the same
input, and the first node at which they part is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo import backends, ops
from zoo import weights as strict
from zoo.api import Array, features, get_weights, set_weights
from zoo.checkpoints import names as naming
from zoo.checkpoints import sources
from zoo.checkpoints.stored import Stored
from zoo.errors import InputError, UnknownNameError, WeightsError, suggestion
from zoo.language import expansion
from zoo.layouts import channels_first
from zoo.network import Block, Graph, Node
from zoo.verification.comparison import error
from zoo.verification.conditioned import rounding
from zoo.verification.results import TOLERANCES
from zoo.verification.training import GRADIENTS

__all__ = ["LEVELS", "assert_same"]

LEVELS = ("structure", "forward", "gradients")


def assert_same(
    model_a: Any,
    model_b: Any,
    x: Array,
    *,
    names: Mapping[str, str] | None = None,
    level: str = "forward",
    labels: Array | None = None,
    tolerance: float | None = None,
) -> None:
    """Raise an AssertionError that names where a model parts from a spec's network.

    The weights of ``model_a`` are used for both; nothing of either model is changed. Every module
    of ``model_a`` that ``names`` leads to is compared with the node or block of that name, in the
    order they are computed, in evaluation mode.

    Args:
        model_a: A model of any framework, written by hand or built by zoo.
        model_b: What it is to be: a model zoo built in any framework, a graph, or the name or YAML
            file of one, which is then made for the size and channels of ``x``.
        x: [N, C, H, W], whatever the framework's own layout.
        names: The spec's name of a node or block -> the path of the hand-written module (in Keras
            the layer's name). What is under a block follows its own name; ``*`` stands for one
            part of a name; the longest name that fits holds. Not needed for what is called alike.
        level: ``structure``, every parameter by name and shape; ``forward``, also every node and
            output; or ``gradients``, also of the loss for every parameter and the input.
        labels: Class numbers [N] for the loss; 0, 1, 2, ... if not given.
        tolerance: The largest error of a node; if not given 1e-12 in float64, and in float32 1e-5
            or four times what rounding costs NumPy on this network, if that is more.

    Raises:
        AssertionError: They differ; the message says where, by how much, and what lies before.
        InputError: Neither is known to zoo, or x does not fit.
        UnknownNameError: ``names`` has a name that the spec has not, or there is no such level.

    Example:
        >>> import numpy as np, torch, zoo, zoo.testing
        >>> mine = zoo.build("vgg9", "torch", input_size=32, num_classes=5)
        >>> x = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
        >>> graph = zoo.graph("vgg9", input_size=32, num_classes=5)
        >>> zoo.testing.assert_same(mine, graph, x)
        >>> mine.stage2.conv1.relu = torch.nn.Identity()
        >>> zoo.testing.assert_same(mine, graph, x)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        AssertionError: Network is not vgg9: they part at stage2.conv1.relu (relu, 128x16x16): ...
    """
    if level not in LEVELS:
        hint = suggestion(level, LEVELS) or f" Known: {', '.join(LEVELS)}."
        raise UnknownNameError(f"Unknown level {level!r}.{hint}")
    x = np.asarray(x)
    graph = _graph(model_b, x)
    mine = _Mine(model_a, graph, names or {})
    result, observed = mine.observed(x)
    weights = mine.weights()
    if level == "structure":
        return
    comparison = _Comparison(mine, graph, x, weights, tolerance)
    comparison.check_nodes(observed, _values_of(model_b, graph, x, weights))
    comparison.check_outputs(result, observed)
    if level == "gradients":
        numbers = np.arange(len(x)) if labels is None else np.asarray(labels)
        _check_gradients(mine, graph, x, weights, numbers)


@dataclass
class _Mine:
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
        top = {step.name: step.name for step in self.graph.root.steps}
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
        mapped = [naming.pattern(name) for name in self.given]
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


@dataclass
class _Comparison:
    """Holds values of a hand-written model against those of the spec's network."""

    mine: _Mine
    graph: Graph
    x: Array
    weights: Mapping[str, Array]
    tolerance: float | None

    def __post_init__(self) -> None:
        self.reference: dict[str, Array] = {"input": self.x.astype(np.float64)}
        self.reference.update(ops.steps(self.graph, self.x, self.weights))
        double = all(value.dtype == np.float64 for value in self.weights.values())
        if self.tolerance is None:
            cost = 0.0 if double else rounding(self.graph, self.x, self.weights, self.reference)
            self.tolerance = max(TOLERANCES["float64" if double else "float32"], 4 * cost)

    def check_nodes(self, observed: Mapping[str, Array], values: Mapping[str, Array]) -> None:
        """Compare in the order nodes are computed; raise at the first that is too far off."""
        assert self.tolerance is not None
        for node in self.graph.nodes:
            if node.name in observed:
                far = error(observed[node.name], values.get(node.name, self.reference[node.name]))
                if not far <= self.tolerance:
                    raise AssertionError(self._parted(node, observed, far))

    def check_outputs(self, result: Any, observed: Mapping[str, Array]) -> None:
        """Compare what the models return."""
        assert self.tolerance is not None
        names = [output.name for output in self.graph.outputs]
        values = _by_output(result, names, self.mine.title, self.graph.name)
        for name, node in self.graph.output_nodes.items():
            value = self.mine.canonical(np.asarray(values[name]), node)
            far = error(value, self.reference[node.name])
            if not far <= self.tolerance:
                raise AssertionError(
                    self._parted(node, {node.name: value}, far, f"output {name}, ")
                )

    def _parted(self, node: Node, observed: Mapping[str, Array], far: float, what: str = "") -> str:
        value = observed[node.name]
        between = self._between(node, observed)
        text = f"{self.mine.title} is not {self.graph.name}: they part at {what}{_told(node)}: "
        if value.shape != self.reference[node.name].shape:
            shape = "x".join(map(str, value.shape[1:]))
            text += f"{self.mine.title} has {shape} there"
        else:
            text += f"error {far:.1e} above {self.tolerance:.1e}"
        culprit = self._left_out(node, between, value)
        if culprit:
            text += f".\nWithout {_told(culprit)} the spec gives just that: it is left out"
        elif between:
            listed = ", ".join(_told(each) for each in between)
            text += f".\nBefore it the spec has, which no module was seen for: {listed}"
        elif node.attributes:
            settings = ", ".join(f"{k}={v}" for k, v in node.attributes.items())
            text += f".\nAll before it agrees. The spec has {node.op} with {settings}"
        else:
            text += ".\nAll before it agrees"
        return text

    def _between(self, node: Node, observed: Mapping[str, Array]) -> list[Node]:
        """The nodes that lead to one, as far back as to those that were compared."""
        wanted, found = set(node.inputs), []
        for each in reversed(self.graph.nodes):
            if each.name in wanted and each.name not in observed:
                found.append(each)
                wanted |= set(each.inputs)
        return found[::-1]

    def _left_out(self, node: Node, between: Sequence[Node], value: Array) -> Node | None:
        """The node without which the spec gives what the hand-written model does."""
        assert self.tolerance is not None
        for each in (*between, node):
            if len(each.inputs) == 1 and each.input_shapes[0] == each.shape:
                path = [n for n in (*between, node) if n is not each]
                values = {**self.reference, each.name: self.reference[each.inputs[0]]}
                for step in path:
                    if self.graph.nodes.index(step) > self.graph.nodes.index(each):
                        values[step.name] = self._value(step, values)
                if error(value, values[node.name]) <= self.tolerance:
                    return each
        return None

    def _value(self, node: Node, values: Mapping[str, Array]) -> Array:
        local = {
            p.name.removeprefix(f"{node.name}."): self.weights[p.name].astype(np.float64)
            for p in node.parameters
        }
        return ops.OPS[node.op].meaning(node, [values[name] for name in node.inputs], local)


def _graph(model: Any, x: Array) -> Graph:
    if x.ndim != 4:
        raise InputError(f"expected x [N, C, H, W], got {list(x.shape)}")
    known = getattr(model, "zoo_graph", model)
    if isinstance(known, str | os.PathLike):
        size = (x.shape[2], x.shape[3])
        known = expansion.graph(os.fspath(known), in_channels=x.shape[1], input_size=size)
    if not isinstance(known, Graph):
        raise InputError(
            "the second is what the first is held against: a model that zoo built, a graph, or the "
            f"name of a spec; got {type(model).__name__}"
        )
    if x.shape[1:] != known.input_shape:
        raise InputError(known.refusal(x.shape))
    return known


def _values_of(
    model: Any, graph: Graph, x: Array, weights: Mapping[str, Array]
) -> Mapping[str, Array]:
    """What a model that zoo built has at every node, with these weights; it keeps its own."""
    if not hasattr(model, "zoo_graph"):
        return {}
    before = get_weights(model)
    set_weights(model, weights)
    try:
        return features(model, x, [node.name for node in graph.nodes])
    finally:
        set_weights(model, before)


def _check_gradients(
    mine: _Mine, graph: Graph, x: Array, weights: Mapping[str, Array], labels: Array
) -> None:
    """Hold gradients against those of the spec's network, built in the same framework."""
    backend, dtype = mine.backend, next(iter(weights.values())).dtype.name
    theirs = backend.build(graph, None, dtype, 0)
    backend.set_weights(theirs, weights)
    other = _Mine(theirs, graph, {})
    names = [output.name for output in graph.outputs]

    def loss(outputs: Any) -> Any:
        return graph.total_loss(
            outputs if len(names) == 1 else _by_output(outputs, names, mine.title, graph.name),
            lambda logits, weight: backend.cross_entropy(logits, labels, weight),
        )

    _, own, of_input = backend.differentiate(mine.model, x, loss)
    _, aim, aim_of_input = backend.differentiate(theirs, x, loss)
    own, aim = mine.gradients(own), other.gradients(aim)
    largest = max((float(np.abs(value).max()) for value in aim.values()), default=1.0)
    allowed = GRADIENTS if dtype == "float64" else 1e-4
    for name, value in {**aim, "the input": aim_of_input}.items():
        found = of_input if name == "the input" else own[name]
        far = float(np.abs(found - value).max()) / (
            largest if name != "the input" else float(np.abs(value).max()) or 1.0
        )
        if not far <= allowed:
            raise AssertionError(
                f"{mine.title} is not {graph.name}: the gradient of {name} is off by {far:.1e} of "
                f"the largest, allowed {allowed:.0e}"
            )


def _by_output(result: Any, names: Sequence[str], title: str, network: str) -> dict[str, Any]:
    """What a model returned, by the spec's names of outputs; a sequence is in their order."""
    if isinstance(result, Mapping):
        found = dict(result)
    elif isinstance(result, list | tuple):
        found = dict(zip(names, result, strict=False)) if len(result) == len(names) else {}
        if not found:
            raise AssertionError(
                f"{title} is not {network}: it returns {len(result)} outputs, the spec has "
                f"{len(names)}: {', '.join(names)}"
            )
    else:
        found = {names[0]: result}
    if set(found) != set(names):
        raise AssertionError(
            f"{title} is not {network}: it returns {', '.join(map(str, found))}, the spec has "
            f"{', '.join(names)}"
        )
    return found


def _blocks(block: Block, before: str) -> Iterator[tuple[str, Block]]:
    for step in block.steps:
        if isinstance(step.child, Block):
            path = f"{before}{step.name}"
            yield path, step.child
            yield from _blocks(step.child, f"{path}.")


def _told(node: Node) -> str:
    return f"{node.name} ({node.op}, {'x'.join(map(str, node.shape))})"


def _path(name: str, rules: list[naming.Rule]) -> str | None:
    """The hand-written path of a node or block."""
    found = naming.translated(f"{name}._", rules, {}, "_", [""])
    return found[0].removesuffix(".") if found else None


def _laid(value: Array, place: sources.Place, flattened_last: bool) -> Array:
    stored = Stored(value.shape, value.dtype.name, lambda: value)
    return sources.laid(stored, place, flattened_last).read()
