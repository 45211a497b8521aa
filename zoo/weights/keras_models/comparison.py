"""Compares the configuration of a Keras model with the network whose names its weights have.

What is compared are the settings of each layer with weights, and what lies between it and the
layers with weights that it reads: activations, pools, paddings and sums. Of arithmetic, and of what
moves values, only its presence is compared: it must be a part of an operation of the network.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from zoo.errors import WeightsError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map
from zoo.ops.windows import place
from zoo.weights import classifier
from zoo.weights.checking import shown
from zoo.weights.keras_models.config import Layer, Model
from zoo.weights.keras_models.kinds import (
    Kind,
    is_arithmetic,
    is_linear,
    is_silent,
    padding,
    padding_of_node,
    pair,
    whole,
    without_parts,
)
from zoo.weights.keras_models.steps import (
    INPUT,
    SETTINGS,
    Between,
    between,
    held,
    of_model,
    of_network,
    sampling_of,
)

_ENDS = (Counter[Kind](), Counter([("softmax",)]), Counter([("sigmoid",)]))  # after the logits


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


class _Comparison:
    def __init__(
        self, path: Path, network: Graph, model: Model, places: Mapping[str, Sequence[Node]]
    ) -> None:
        self.path, self.network, self.model = path, network, model
        self.own = of_network(network, held(places))
        self.steps, self.outputs = of_model(model, places)
        self.classifier = [node.name for node in classifier.nodes(network)]

    def notes(self, dropped: bool, replaced: bool) -> list[str]:
        """Compare everything; see :func:`compared`."""
        before: list[str] = []
        unknown = list(self.model.own)
        for step in self.steps.values():
            node, layer = step.node, step.layer
            if not node or not layer or (dropped and node.name in self.classifier):
                continue
            if not layer.is_known:
                unknown.append(layer.kind)
            found, expected = between(self.steps, step.inputs), self._expected(node)
            self._check_settings(layer, node)
            pads = self._check_padding(layer, node, found, expected)
            if found.reads == expected.reads == {INPUT}:
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

    def _expected(self, node: Node) -> Between:
        step = self.own[node.name,]
        return between(self.own, step.inputs)

    def _end(self, dropped: bool) -> tuple[list[str], list[str]]:
        """Compare what lies after the last weights; return what follows, and what is unknown."""
        last = next(iter(self.network.output_nodes.values()))
        logits = between(self.own, [(last.name,)])
        features = self._expected(self.network.node(self.classifier[-1]))
        outputs = [between(self.steps, [key]) for key in self.outputs]
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
                if extra not in _ENDS or logits.kinds - found.kinds:
                    self._check(found, logits, "at its end", self.classifier[0])
                return [kind[0] for kind in extra], found.unknown
        for found in outputs:
            self._check(found, logits, "at its end", self.classifier[0])
        return [], [kind for found in outputs for kind in found.unknown]

    def _check(self, found: Between, expected: Between, where: str, node: str) -> None:
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
        steps = [step for step in found.steps if set(step.kinds or ()) & set(extra)]
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

    def _check_padding(self, layer: Layer, node: Node, found: Between, expected: Between) -> bool:
        """Compare how much maps are padded; return whether the input is padded besides."""
        theirs = Counter(filter(None, [*expected.pads, padding_of_node(node)]))
        here = Counter(filter(None, found.pads)) + Counter(
            filter(any, _padded_to_same(layer, node, found, expected))
        )
        extra, missing = here - theirs, theirs - here
        is_known = () not in found.pads and not expected.unknown
        if (missing and is_known) or (extra and found.reads != {INPUT}):
            h, w = self.network.input_shape[1:]
            self._refuse(
                f"at its layer {shown(layer.name)}, or before, it pads by {_amounts(here)} where "
                f"{self.network.name} pads by {_amounts(theirs)}, for inputs of {h}x{w}",
                node.name,
            )
        return bool(extra)

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


def _extra(found: Between, expected: Between) -> Counter[Kind]:
    """Return what a part of a model computes that the same part of the network does not."""
    ops = expected.ops - Counter(map(whole, found.layers))
    return without_parts(found.kinds - expected.kinds, ops)


def _covers_map(extra: Counter[Kind], missing: Counter[Kind], found: Between) -> bool:
    """Tell whether a global average stands for another pool of the same map, or of one pixel."""
    if missing != Counter([("global_avg_pool",)]):
        return False
    flat = any(layer.kind == "Flatten" for layer in found.layers)
    return [kind[0] for kind in extra] == ["avg_pool"] or (not extra and flat)


def _normalizes(extra: Counter[Kind], missing: Counter[Kind], found: Between) -> bool:
    """Tell whether arithmetic may stand for a local response normalization, which Keras lacks."""
    sums = set(missing) == {("lrn",)} and set(extra) <= {("add",)}
    return sums and any(is_arithmetic(layer) for layer in found.layers)


def _padded_to_same(
    layer: Layer, node: Node, found: Between, expected: Between
) -> Iterator[tuple[int, ...]]:
    """Yield how much Keras pads maps itself: before pools, and in a convolution."""
    if node.op == "conv" and layer.config.get("padding") == "same":
        shape = node.input_shapes[0]
        assert isinstance(shape, Map)
        kernel, stride, dilation = (node.attributes[name] for name in SETTINGS.values())
        yield place(shape[1:], kernel, stride, "same", dilation).padding
    pools = [
        (kind, step.size)
        for step in reversed(expected.steps)
        for kind in step.kinds or ()
        if step.size and len(kind) == 3
    ]
    for step in reversed(found.steps):
        if step.layer and step.layer.config.get("padding") == "same":
            pool = next((each for each in pools if (each[0],) == step.kinds), None)
            if pool:
                pools.remove(pool)
                (_, kernel, stride), size = pool
                yield place(size, kernel, stride, "same").padding


def _amounts(pads: Counter[tuple[int, ...]]) -> str:
    return " and ".join(str(list(each)) for each in sorted(pads.elements())) or "nothing"


def _settings(layer: Layer, node: Node) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each setting, and its values in the layer and in the node."""
    config, attributes = layer.config, node.attributes
    if node.op in ("batch_norm", "layer_norm"):
        yield "epsilon", config.get("epsilon", 0.001), attributes["eps"]
    if node.op != "conv" or "kernel_size" not in config:
        return
    if layer.kind == "SeparableConv2D" and attributes["kernel_size"] == (1, 1):
        return  # the second of its convolutions
    sampling = sampling_of(*(attributes[name] for name in SETTINGS.values()))
    for name, own in SETTINGS.items():
        step = (1, 1) if own == "kernel_size" else sampling
        here = pair(config.get(name, 1))
        there = tuple(a // b for a, b in zip(attributes[own], step, strict=True))
        if attributes["kernel_size"] == here == (1, 1):
            return  # its steps are compared as a layer of their own, and dilation has no effect
        yield name, here, there
    if layer.kind == "Conv2D":
        yield "groups", config.get("groups", 1), attributes["groups"]


def _text(kinds: Iterable[Kind]) -> str:
    return _listed(
        f"{kind[0]} of size {list(kind[1])} and strides {list(kind[2])}" if kind[1:] else kind[0]
        for kind in kinds
    )


def _listed(words: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(map(shown, words)))
