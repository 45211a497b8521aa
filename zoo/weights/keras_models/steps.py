"""The steps in which a network computes, and those of a Keras model, in the same terms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.weights.keras_models.config import Key, Layer, Model
from zoo.weights.keras_models.kinds import (
    CONSTANT,
    Kind,
    activation,
    kinds_of,
    kinds_of_node,
    padding,
    padding_of_node,
    pair,
)

INPUT = "input"
OPS = ("conv", "linear", "batch_norm", "layer_norm", "affine")  # for which Keras has one layer

#: Operations that Keras computes by several, which are not compared.
_SEVERAL = ("slice", "adaptive_avg_pool")

#: What a setting of Keras is called in the attributes of a convolution.
SETTINGS = {"kernel_size": "kernel_size", "strides": "stride", "dilation_rate": "dilation"}


@dataclass(frozen=True)
class Step:
    """A node, or a part of a call of a layer.

    Attributes:
        inputs: What it reads; nothing for the input itself.
        kinds: What it computes, apart from its weights; None if that is not known.
        node: The node whose weights it has, if any.
        layer: The layer, in a model of Keras.
        op: The operation of a node without weights.
        size: The height and width of the map that a node reads, if it reads one.
        pads: How much it pads a map; None if it does not, empty if that is not known.
    """

    inputs: tuple[Key, ...]
    kinds: tuple[Kind, ...] | None = ()
    node: Node | None = None
    layer: Layer | None = None
    op: str = ""
    size: tuple[int, int] | tuple[()] = ()
    pads: tuple[int, ...] | None = None


Steps = Mapping[Key, Step]


@dataclass
class Between:
    """What lies between a step and the steps with weights that it reads.

    Attributes:
        reads: The names of the nodes with these weights.
        kinds: What is computed between them.
        steps: The steps between them, backward.
    """

    reads: set[str] = field(default_factory=set)
    kinds: Counter[Kind] = field(default_factory=Counter)
    steps: list[Step] = field(default_factory=list)

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


def between(steps: Steps, inputs: Sequence[Key]) -> Between:
    """Return what lies between a step that reads some inputs and the steps with weights before."""
    found, seen, waiting = Between(), set(inputs), list(dict.fromkeys(inputs))
    while waiting:
        step = steps[waiting.pop()]
        if step.node:
            found.reads.add(step.node.name)
            continue
        found.steps.append(step)
        found.kinds.update(step.kinds or ())
        if not step.inputs:
            found.reads.add(INPUT)
        waiting += [key for key in dict.fromkeys(step.inputs) if key not in seen]
        seen.update(step.inputs)
    return found


def held(places: Mapping[str, Sequence[Node]]) -> set[str]:
    """Return the names of the nodes for which Keras has one layer, of those that a file has."""
    return {node.name for nodes in places.values() for node in nodes if node.op in OPS}


def sampling_of(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the steps at which a convolution may sample its input before, with the same result."""
    return stride if kernel == (1, 1) else tuple(map(math.gcd, stride, dilation))


def _sampled(inputs: tuple[Key, ...], sampling: tuple[int, ...]) -> list[Step]:
    subsample = Step(inputs, (("subsample", (1, 1), sampling),))
    return [subsample] if max(sampling) > 1 else []


def of_network(network: Graph, held: Collection[str]) -> Steps:
    """Return the steps of a network; those with weights are the nodes that the file has."""
    steps: dict[Key, Step] = {(INPUT,): Step(())}
    for node in network.nodes:
        inputs: tuple[Key, ...] = tuple((name,) for name in node.inputs)
        if node.op == "conv":
            sampling = sampling_of(*(node.attributes[name] for name in SETTINGS.values()))
            for step in _sampled(inputs, sampling):
                steps[node.name, 0] = step
                inputs = ((node.name, 0),)
        kinds = None if node.parameters or node.op in _SEVERAL else kinds_of_node(node)
        own = node if node.name in held else None
        size, pads = node.input_shapes[0][1:], padding_of_node(node)
        steps[node.name,] = Step(inputs, kinds, own, None, node.op, size, pads)
    return steps


def of_model(model: Model, places: Mapping[str, Sequence[Node]]) -> tuple[Steps, Sequence[Key]]:
    """Return the steps of a model, and the keys of those that compute its outputs."""
    steps: dict[Key, Step] = {}
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


def _parts(layer: Layer, nodes: Sequence[Node], inputs: int) -> Iterator[Step]:
    """Yield the steps of a layer one after another, without what they read."""
    config = layer.config
    if nodes and "kernel_size" in config:
        kernel, stride = pair(config["kernel_size"]), pair(config.get("strides", 1))
        yield from _sampled((), sampling_of(kernel, stride, (1, 1)))
    for node in nodes:
        yield Step((), (), node if node.op in OPS else None, layer)
    if not nodes:
        yield Step((), kinds_of(layer, inputs), None, layer, pads=padding(layer))
    if layer.kind != "Activation" and config.get("activation"):
        yield Step((), activation(config["activation"]), None, layer)
