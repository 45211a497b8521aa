"""Finds the size of the maps that a Keras model's network reads, and the network for that size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.language.sizes import resized
from zoo.weights.keras_models.config import Layer, Model
from zoo.weights.keras_models.kinds import padding, padding_of_node
from zoo.weights.keras_models.steps import INPUT, between, held, of_model, of_network


def at_size_of(
    model: Model, network: Graph, places: Mapping[str, Sequence[Node]], default: Sequence[int]
) -> tuple[Graph, bool]:
    """Return a network for inputs of the size for which a model was made, and whether it says so.

    Args:
        model: The configuration.
        network: The network, for any size.
        places: Layer -> the nodes whose parameters it has.
        default: The height and width if the model does not state any.

    Raises:
        SpecError: There is no such network for this size.
    """
    steps, _ = of_model(model, places)
    for step in steps.values():
        found = between(steps, step.inputs)
        if step.node and step.layer and found.reads == {INPUT}:
            break
    else:
        return resized(network, *default), False
    size, is_stated, padded = default, False, Counter[tuple[int, ...]]()
    for layer in chain([step.layer], reversed(list(found.layers))):
        padded.update(filter(None, [padding(layer)]))
        if stated := _stated(layer, step.layer.config.get("data_format") == "channels_first"):
            size, is_stated = stated, True
            break
    network = resized(network, *size)
    node = next(node for node in network.nodes if node.name == step.node.name)
    own = of_network(network, held(places))
    expected = between(own, own[node.name,].inputs)
    padded -= Counter(filter(None, [*expected.pads, padding_of_node(node)]))
    if padded:  # before the network
        top, bottom, left, right = map(sum, zip(*padded.elements(), strict=True))
        network = resized(network, size[0] + top + bottom, size[1] + left + right)
    return network, is_stated


def _stated(layer: Layer, channels_first: bool) -> tuple[int, int] | None:
    """Return the height and width that a layer states, of what it reads, or resizes or crops to."""
    config = layer.config
    shape = config.get("batch_shape") or config.get("batch_input_shape") or ()
    sides = shape[2:4] if channels_first else shape[1:3]
    match sides or (config.get("height"), config.get("width")):
        case [int(height), int(width)] | (int(height), int(width)):
            return height, width
    return None
