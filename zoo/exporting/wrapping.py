"""Puts preprocessing before a network, and a softmax behind it, as layers of its spec.

So every backend builds them like any other layers, and the graph of a program says what it takes
and returns.
"""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.api.preprocessing import recipe_of
from zoo.backend.base import Array
from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.language import options
from zoo.language.document import Mapping
from zoo.language.graphs import graph_of_document
from zoo.weights.adaptation import PREPROCESSING

#: The fields of a recipe that leaves pixels as they are.
_PIXELS: AnyMapping[str, Any] = {
    "channels": "rgb",
    "range": 255,
    "mean": [0, 0, 0],
    "std": [1, 1, 1],
}
PROBABILITIES = "probabilities"


def preprocessed(network: Graph) -> tuple[Graph, dict[str, Array]]:
    """Return a network that takes pixels: scale, mean, deviation and order come first, as layers.

    Args:
        network: The network, which takes what its preprocessing makes of pixels.

    Returns:
        A network that takes RGB from 0 to 255, or luminance if it has one channel; and canonical
        name -> value of what it has besides the network's parameters.

    Raises:
        InputError: It takes neither one channel nor three.

    Example:
        >>> import zoo
        >>> graph, weights = preprocessed(zoo.graph("vgg16"))
        >>> graph.nodes[0].name, dict(graph.preprocessing)["range"]
        ('preprocessing.normalize', 255)
        >>> weights["preprocessing.normalize.weight"].round(5).tolist()
        [0.01712, 0.01751, 0.01743]
    """
    channels, recipe = network.input_shape.channels, recipe_of(network)
    if channels not in (1, 3):
        raise InputError(
            f"this {network.name} takes {channels} channels, and preprocess=True is for "
            "photographs: it puts layers in front that take three, or one of luminance"
        )
    factor, offset = scale_and_offset(recipe, channels)
    layers: dict[str, Any] = {}
    if (factor != 1).any() or offset.any():
        layers["normalize"] = {"op": "affine"}
    if recipe["channels"] == "bgr" and channels == 3:
        layers["bgr"] = {"op": "select", "channels": [2, 1, 0]}
    if not layers:
        return network, {}
    name = _free(PREPROCESSING, network)
    behind = {
        key: {**layer, "from": _renamed(layer["from"], name)} if "from" in layer else layer
        for key, layer in network.document["layers"].items()
    }
    changed = _changed(
        network,
        layers={name: {"layers": layers}, **behind},
        preprocessing={**recipe, **_PIXELS},
    )
    if "normalize" not in layers:
        return changed, {}
    path = f"{name}.normalize"
    return changed, {f"{path}.weight": factor, f"{path}.bias": offset}


def scale_and_offset(recipe: AnyMapping[str, Any], channels: int) -> tuple[Array, Array]:
    """Return what pixels are multiplied by, and what is then added, for each channel of RGB."""
    mean, std = np.array(recipe["mean"], np.float64), np.array(recipe["std"], np.float64)
    if channels == 1:
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    return recipe["range"] / 255 / std, 0 - mean / std


def _renamed(sources: Any, name: str) -> Any:
    """Return the sources of a layer, with another layer in the place of the network's input."""
    if isinstance(sources, str):
        return name if sources == "input" else sources
    return [_renamed(source, name) for source in sources]


def with_probabilities(network: Graph) -> Graph:
    """Return a network whose outputs are the softmax of its own; the first is ``probabilities``.

    Raises:
        InputError: It has no classifier.

    Example:
        >>> import zoo
        >>> with_probabilities(zoo.graph("googlenet", aux=True)).output_nodes["aux1"].op
        'softmax'
    """
    if network.options["num_classes"] == 0:
        raise InputError(f"this {network.name} has no classifier, and so no softmax")
    if all(node.op == "softmax" for node in network.output_nodes.values()):
        return network
    document, first = network.document, network.outputs[0]
    outputs = document.get("outputs") or {first.name: {"from": first.step}}
    layers, results = dict(document["layers"]), {}
    for i, (name, output) in enumerate(outputs.items()):
        layer = _free(f"{name}_{PROBABILITIES}" if i else PROBABILITIES, network)
        when = {"when": w} if (w := layers.get(output["from"], {}).get("when")) is not None else {}
        layers[layer] = {"op": "softmax", "from": output["from"], **when}
        results[name if i else PROBABILITIES] = {**output, "from": layer}
    return _changed(network, layers=layers, outputs=results)


def _free(name: str, network: Graph) -> str:
    """Return a name that no layer has."""
    taken = {*network.document["layers"], *(step.name for step in network.root.steps)}
    while name in taken:
        name += "_"
    return name


def _changed(network: Graph, **changes: Any) -> Graph:
    document = Mapping({**network.document, **changes})
    chosen = options.Chosen(**network.options)
    return replace(graph_of_document(network.name, document, chosen), origin=network.origin)
