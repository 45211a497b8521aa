"""Finds the layers of a Keras model's configuration whose weights zoo reads, and compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.errors import WeightsError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.language import graphs
from zoo.language.options import Chosen
from zoo.weights import classifier
from zoo.weights.checkpoint import Stored
from zoo.weights.keras_models import comparison, config
from zoo.weights.keras_models.size import at_size_of
from zoo.weights.reading.readers import Opened
from zoo.weights.slots import located, published_slots, with_heads
from zoo.weights.sources import Source

_UNKNOWN = "its configuration could not be compared with the network"


def compared(
    path: Path,
    opened: Opened,
    table: Source,
    network: str | Graph,
    arrays: Mapping[str, Stored],
    head: str | None,
    chosen: Chosen,
) -> tuple[list[str], tuple[int, int] | None]:
    """Hold the configuration in a file of Keras to the network that was found in the file.

    Args:
        path: The file, for messages.
        opened: Its contents.
        table: The source whose names it has.
        network: The network.
        arrays: The arrays of the file, under names of the source.
        head: As for :func:`zoo.weights.loading.find`.
        chosen: The options to build the network with.

    Returns:
        Notes; see :func:`zoo.weights.keras_models.comparison.compared`. And the height and width
        of the network's input, if the configuration states them.

    Raises:
        WeightsError: The configuration is that of another network.
    """
    graph, slots = with_heads(network), published_slots(table, network)
    keys, rest = located(table, network, arrays)
    required = {p for p, slot in slots.items() if not slot.optional}
    required -= {p.name for p in classifier.parameters(graph)}
    if required - keys.keys():
        return [], None  # an error follows, which lists what is missing
    layers = {id(array): name.rpartition(".")[0] for name, array in opened.arrays.items()}
    found: dict[str, list[Node]] = {}
    for node in graph.nodes:
        held = next((keys[p.name] for p in node.parameters if p.name in keys), None)
        if held is not None:
            found.setdefault(layers[id(arrays[held])], []).append(node)
    others = {layers[id(arrays[key])] for key in rest}
    last = classifier.nodes(graph)[0]
    if len(others) == 1 and not any(last in nodes for nodes in found.values()):
        found[others.pop()] = [last]
    model = config.parsed(opened.configuration)
    places = _places(model, found) if model else None
    if model is None or places is None:
        return [_UNKNOWN], None
    dropped = bool(head) or chosen.num_classes == 0
    try:
        plain = graphs.graph(network)
        names = [node.name for nodes in places.values() for node in nodes]
        if not any(name.partition(".")[0] in plain.omitted for name in names):
            graph = plain  # which may be for smaller inputs than with auxiliary heads
        default = chosen.input_size or graph.input_shape[1:]
        graph, is_stated = at_size_of(model, graph, places, default)
        sized = {node.name: node for node in graph.nodes}
        places = {layer: [sized[node.name] for node in nodes] for layer, nodes in places.items()}
        notes = comparison.compared(path, model, graph, places, dropped, bool(head))
    except WeightsError:  # a ValueError, too
        raise
    except config.MALFORMED:  # a layer may state anything for a setting
        return [_UNKNOWN], None
    return notes, graph.input_shape[1:] if is_stated else None


def _places(
    model: config.Model, found: Mapping[str, Sequence[Node]]
) -> dict[str, Sequence[Node]] | None:
    """Return the nodes by layer, where a file has some by the model that the layer is in."""
    names = {layer.name for layer in model.layers.values()}
    places: dict[str, Sequence[Node]] = {}
    for place, nodes in found.items():
        if place in names:
            places[place] = nodes
            continue
        inner = [layer for key, layer in model.layers.items() if place in key[:-2]]
        for node in nodes:
            setting = "kernel_size" if node.op == "conv" else "epsilon"
            having = [layer.name for layer in inner if setting in layer.config]
            if len(having) != 1:
                return None
            places[having[0]] = [node]
    return places
