"""Compares the configuration of a Keras model with the network whose names its weights have.

What is compared are the settings of each layer with weights, and what lies between it and the
layers with weights that it reads: activations, pools, paddings and sums. Of arithmetic, and of what
moves values, only its presence is compared: it must be a part of an operation of the network.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from zoo.errors import WeightsError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.weights import classifier
from zoo.weights.checking import shown
from zoo.weights.keras_models.config import Key, Layer, Model
from zoo.weights.keras_models.kinds import (
    CONSTANT,
    Kind,
    activation,
    is_arithmetic,
    is_linear,
    is_silent,
    kinds_of,
    kinds_of_node,
    padding,
    padding_of_node,
    pair,
    whole,
    without_parts,
)

_INPUT = "input"
_ENDS: tuple[set[Kind], ...] = (set(), {("softmax",)}, {("sigmoid",)})  # after the logits
_OPS = ("conv", "linear", "batch_norm", "layer_norm", "affine")  # for which Keras has one layer

#: Operations that Keras computes by several, which are not compared.
_SEVERAL = ("slice", "adaptive_avg_pool")

#: What a setting of Keras is called in the attributes of a convolution.
_SETTINGS = {"kernel_size": "kernel_size", "strides": "stride", "dilation_rate": "dilation"}


def compared(
    path: Path,
    model: Model,
    network: Graph,
    places: Mapping[str, Sequence[Node]],
    dropped: bool = False,
    replaced: bool = False,
) -> list[str]:
    """Hold the configuration of a model to a network.

    Args:
        path: The file, for messages.
        model: The configuration.
        network: The network.
        places: Layer -> the nodes whose parameters it has, in the graph's order.
        dropped: Whether the classifier of the file does not matter.
        replaced: Whether the network gets a new one, so that nothing before it matters either.

    Returns:
        Notes on what the file's model has before and after the network, and on what could not be
        compared.

    Raises:
        WeightsError: The configuration is that of another network.
    """
    return _Comparison(path, network, model, places).notes(dropped, replaced)


@dataclass(frozen=True)
class _Step:
    """A node, or a part of a call of a layer.

    Attributes:
        inputs: What it reads; nothing for the input itself.
        kinds: What it computes, apart from its weights; None if that is not known.
        node: The node whose weights it has, if any.
        layer: The layer, in a model of Keras.
        op: The operation of a node without weights.
        pads: How much it pads a map; None if it does not, empty if that is not known.
    """

    inputs: tuple[Key, ...]
    kinds: tuple[Kind, ...] | None = ()
    node: Node | None = None
    layer: Layer | None = None
    op: str = ""
    pads: tuple[int, ...] | None = None


_Steps = Mapping[Key, _Step]


@dataclass
class _Between:
    """What lies between a step and the steps with weights that it reads.

    Attributes:
        reads: The names of the nodes with these weights.
        kinds: What is computed between them.
        steps: The steps between them, backward.
    """

    reads: set[str] = field(default_factory=set)
    kinds: Counter[Kind] = field(default_factory=Counter)
    steps: list[_Step] = field(default_factory=list)

    @property
    def layers(self) -> Iterator[Layer]:
        """The layers between them, in their order in the model."""
        return (step.layer for step in reversed(self.steps) if step.layer)

    @property
    def ops(self) -> Counter[str]:
        """The operations of nodes without weights."""
        return Counter(step.op for step in self.steps)

    @property
    def pads(self) -> list[tuple[int, ...]]:
        """How much maps are padded, step by step."""
        return [step.pads for step in self.steps if step.pads is not None]

    @property
    def unknown(self) -> list[str]:
        """The classes of the layers of which nothing is known; of nodes, empty texts."""
        return [step.layer.kind if step.layer else "" for step in self.steps if step.kinds is None]


def _between(steps: _Steps, inputs: Sequence[Key]) -> _Between:
    found, seen, waiting = _Between(), set(inputs), list(dict.fromkeys(inputs))
    while waiting:
        step = steps[waiting.pop()]
        if step.node:
            found.reads.add(step.node.name)
            continue
        found.steps.append(step)
        found.kinds.update(step.kinds or ())
        if not step.inputs:
            found.reads.add(_INPUT)
        waiting += [key for key in dict.fromkeys(step.inputs) if key not in seen]
        seen.update(step.inputs)
    return found


class _Comparison:
    def __init__(
        self, path: Path, network: Graph, model: Model, places: Mapping[str, Sequence[Node]]
    ) -> None:
        self.path, self.network = path, network
        held = {node.name for nodes in places.values() for node in nodes if node.op in _OPS}
        self.same_size = model.size == network.input_shape[1:]
        self.own = _steps_of_network(network, held)
        self.steps, self.outputs = _steps_of_model(model, places)
        self.classifier = [node.name for node in classifier.nodes(network)]

    def notes(self, dropped: bool, replaced: bool) -> list[str]:
        """Compare everything; see :func:`compared`."""
        before: list[str] = []
        unknown: list[str] = []
        for step in self.steps.values():
            node, layer = step.node, step.layer
            if not node or not layer or (dropped and node.name in self.classifier):
                continue
            found, expected = _between(self.steps, step.inputs), self._expected(node)
            self._check_settings(layer, node)
            pads = self._check_padding(layer, node, found, expected)
            if found.reads == expected.reads == {_INPUT}:
                layers = [each for each in found.layers if not is_silent(each)]
                before += [x.kind for x in layers if pads or padding(x) is None]
            else:
                self._check(found, expected, f"before its layer {shown(layer.name)}", node.name)
                unknown += found.unknown
        after, unknown_after = ([], []) if replaced else self._end(dropped)
        unknown += unknown_after
        notes = []
        if before:
            text = f"the layers {_listed(before)} of the file's model"
            notes.append(f"without {text}: give what they return")
        if after:
            notes.append(f"without the {_listed(after)} at the end of the file's model")
        if unknown:
            notes.append(f"its layers {_listed(unknown)} could not be compared with the network")
        return notes

    def _expected(self, node: Node) -> _Between:
        step = self.own[node.name,]
        return _between(self.own, step.inputs)

    def _end(self, dropped: bool) -> tuple[list[str], list[str]]:
        """Compare what lies after the last weights; return what follows, and what is unknown."""
        last = next(iter(self.network.output_nodes.values()))
        logits = _between(self.own, [(last.name,)])
        features = self._expected(self.network.node(self.classifier[-1]))
        outputs = [_between(self.steps, [key]) for key in self.outputs]
        headless = [found for found in outputs if found.reads == features.reads]
        for found in headless:  # a model without a classifier, which may not pool
            of_head = dropped and any(map(is_linear, found.layers))
            if _extra(found, features) and not of_head:
                self._check(found, features, "at its end", self.classifier[-1])
        if dropped or (headless and len(headless) == len(outputs)):
            return [], []
        for found in outputs:
            if found.reads == logits.reads:
                extra = _extra(found, logits)
                if set(extra) not in _ENDS or logits.kinds - found.kinds:
                    self._check(found, logits, "at its end", self.classifier[0])
                return [kind[0] for kind in extra], found.unknown
        for found in outputs:
            self._check(found, logits, "at its end", self.classifier[0])
        return [], [kind for found in outputs for kind in found.unknown]

    def _check(self, found: _Between, expected: _Between, where: str, node: str) -> None:
        if found.unknown:
            return
        extra, missing = _extra(found, expected), expected.kinds - found.kinds
        if expected.unknown:
            return
        if found.reads != expected.reads:
            self._refuse(f"{where}, the layers are connected in another way", node)
        if not (extra or missing) or _covers_map(extra, missing, found):
            return
        if _normalizes(extra, missing, found):
            return
        steps = [step for step in reversed(found.steps) if set(step.kinds or ()) & set(extra)]
        steps.sort(key=lambda step: any(kind in expected.kinds for kind in step.kinds or ()))
        layer = next((shown(step.layer.name) for step in steps if step.layer), "")
        here = f"it has {_text(extra)} in {layer}" if extra else "it has nothing"
        there = f"{self.network.name} has {_text(missing) if missing else 'nothing'}"
        self._refuse(f"{where}, {here} where {there}", node)

    def _check_settings(self, layer: Layer, node: Node) -> None:
        for setting, here, there in _settings(layer, node):
            if here != there and not (
                isinstance(there, float) and math.isclose(here, there, rel_tol=1e-6)
            ):
                here, there = (list(v) if isinstance(v, tuple) else v for v in (here, there))
                what = f"its layer {shown(layer.name)} has {setting} {here}"
                self._refuse(f"{what} where {self.network.name} has {there}", node.name)

    def _check_padding(self, layer: Layer, node: Node, found: _Between, expected: _Between) -> bool:
        """Compare how much maps are padded; return whether the input is padded besides."""
        own = padding_of_node(node)
        theirs = Counter(map(self._comparable, filter(None, [*expected.pads, own])))
        here = Counter(map(self._comparable, filter(None, found.pads)))
        if (extra := here - theirs) and found.reads != {_INPUT}:
            wrong = {each for each in found.pads if each and self._comparable(each) in extra}
            amounts = " and ".join(str(list(each)) for each in sorted(wrong))
            what = f"before its layer {shown(layer.name)}, it pads by {amounts}"
            self._refuse(f"{what}, unlike {self.network.name}", node.name)
        missing = (theirs - here).total()
        same = list(_padded_to_same(layer, node, found))
        if missing < sum(any(k > s for k, s in zip(*each, strict=True)) for each in same):
            difference = "pads, or a pool before it"
        elif missing > len(same) and () not in found.pads and not expected.unknown:
            difference = "does not pad, or a pool before it"
        else:
            return bool(extra)
        name = shown(layer.name)
        self._refuse(f"its layer {name} {difference}, unlike {self.network.name}'s", node.name)

    def _comparable(self, pads: tuple[int, ...]) -> tuple[int, ...]:
        """Return what does not depend on the size of the map, if the sizes are not the same."""
        return pads if self.same_size else pads[1::2]

    def _refuse(self, what: str, node: str) -> NoReturn:
        advice = (
            "Use it in Keras, or describe it in a spec: zoo.build('my.yaml', ..., weights=path)"
        )
        if node in self.classifier:
            advice = f"head='new' gives {self.network.name} a new classifier. {advice}"
        raise WeightsError(
            f"{self.path}: its configuration is that of another network than {self.network.name}, "
            f"with the same names of weights: {what}. {advice}"
        )


def _extra(found: _Between, expected: _Between) -> Counter[Kind]:
    """Return what a part of a model computes that the same part of the network does not."""
    ops = expected.ops - Counter(map(whole, found.layers))
    return without_parts(found.kinds - expected.kinds, ops)


def _covers_map(extra: Counter[Kind], missing: Counter[Kind], found: _Between) -> bool:
    """Tell whether a global average stands for another pool of the same map, or of one pixel."""
    if missing != Counter([("global_avg_pool",)]):
        return False
    flat = any(layer.kind == "Flatten" for layer in found.layers)
    return [kind[0] for kind in extra] == ["avg_pool"] or (not extra and flat)


def _normalizes(extra: Counter[Kind], missing: Counter[Kind], found: _Between) -> bool:
    """Tell whether arithmetic may stand for a local response normalization, which Keras lacks."""
    sums = set(missing) == {("lrn",)} and set(extra) <= {("add",)}
    return sums and any(is_arithmetic(layer) for layer in found.layers)


def _padded_to_same(
    layer: Layer, node: Node, before: _Between
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield the sizes and strides of windows that Keras may pad: of pools, and of a convolution."""
    if node.op == "conv" and layer.config.get("padding") == "same":
        yield node.attributes["kernel_size"], node.attributes["stride"]
    for each in before.layers:
        if "pool_size" in each.config and each.config.get("padding") == "same":
            size = pair(each.config["pool_size"])
            yield size, pair(each.config.get("strides") or size)


def _settings(layer: Layer, node: Node) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each setting, and its values in the layer and in the node."""
    config, attributes = layer.config, node.attributes
    if node.op in ("batch_norm", "layer_norm"):
        yield "epsilon", config.get("epsilon", 0.001), attributes["eps"]
    if node.op != "conv" or "kernel_size" not in config:
        return
    if layer.kind == "SeparableConv2D" and attributes["kernel_size"] == (1, 1):
        return  # the second of its convolutions
    sampling = _sampling(*(attributes[name] for name in _SETTINGS.values()))
    for name, own in _SETTINGS.items():
        step = (1, 1) if own == "kernel_size" else sampling
        here = pair(config.get(name, 1))
        there = tuple(a // b for a, b in zip(attributes[own], step, strict=True))
        if attributes["kernel_size"] == here == (1, 1):
            return  # its steps are compared as a layer of their own, and dilation has no effect
        yield name, here, there
    if layer.kind == "Conv2D":
        yield "groups", config.get("groups", 1), attributes["groups"]


def _sampling(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the steps at which a convolution may sample its input before, with the same result."""
    return stride if kernel == (1, 1) else tuple(map(math.gcd, stride, dilation))


def _sampled(inputs: tuple[Key, ...], sampling: tuple[int, ...]) -> list[_Step]:
    subsample = _Step(inputs, (("subsample", (1, 1), sampling),))
    return [subsample] if max(sampling) > 1 else []


def _steps_of_network(network: Graph, held: Collection[str]) -> _Steps:
    """Return the steps of a network; those with weights are the nodes that the file has."""
    steps: dict[Key, _Step] = {(_INPUT,): _Step(())}
    for node in network.nodes:
        inputs: tuple[Key, ...] = tuple((name,) for name in node.inputs)
        if node.op == "conv":
            sampling = _sampling(*(node.attributes[name] for name in _SETTINGS.values()))
            for step in _sampled(inputs, sampling):
                steps[node.name, 0] = step
                inputs = ((node.name, 0),)
        kinds = None if node.parameters or node.op in _SEVERAL else kinds_of_node(node)
        own = node if node.name in held else None
        steps[node.name,] = _Step(inputs, kinds, own, None, node.op, padding_of_node(node))
    return steps


def _steps_of_model(
    model: Model, places: Mapping[str, Sequence[Node]]
) -> tuple[_Steps, Sequence[Key]]:
    """Return the steps of a model, and the keys of those that compute its outputs."""
    steps: dict[Key, _Step] = {}
    last: dict[Key, Key] = {}  # call of a layer -> its last step
    constant: set[Key] = set()
    for key, layer in model.layers.items():
        inputs = tuple(last[each] for each in layer.inputs if each not in constant)
        if layer.kind in CONSTANT or (layer.inputs and not inputs):
            constant.add(key)
        for number, part in enumerate(_parts(layer, places.get(layer.name, ()), len(inputs))):
            last[key] = (*key, number)
            steps[last[key]] = replace(part, inputs=inputs)
            inputs = (last[key],)
    return steps, [last[key] for key in model.outputs if key not in constant]


def _parts(layer: Layer, nodes: Sequence[Node], inputs: int) -> Iterator[_Step]:
    """Yield the steps of a layer one after another, without what they read."""
    config = layer.config
    if nodes and "kernel_size" in config:
        kernel, stride = pair(config["kernel_size"]), pair(config.get("strides", 1))
        yield from _sampled((), _sampling(kernel, stride, (1, 1)))
    for node in nodes:
        yield _Step((), (), node if node.op in _OPS else None, layer)
    if not nodes:
        yield _Step((), kinds_of(layer, inputs), None, layer, pads=padding(layer))
    if layer.kind != "Activation" and config.get("activation"):
        yield _Step((), activation(config["activation"]), None, layer)


def _text(kinds: Iterable[Kind]) -> str:
    return _listed(
        f"{kind[0]} of size {list(kind[1])} and strides {list(kind[2])}" if kind[1:] else kind[0]
        for kind in kinds
    )


def _listed(words: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(map(shown, words)))
