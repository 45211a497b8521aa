"""Reads which layers a Keras model's configuration lists, and how they are connected.

Keras itself is not imported, and no code of a file is run. The forms are those of Keras 2 and 3.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_LAYERS = 10_000  # of a model, with those of the models in it
_MAX_BYTES = 50_000_000
_MAX_DEPTH = 8  # of models within models

#: What reading a configuration raises where it is of another form than Keras gives it.
MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)

#: The layers of Keras that have weights, of those that networks for images have.
_WITH_WEIGHTS = (
    *("Dense", "EinsumDense", "Conv2D", "Convolution2D", "DepthwiseConv2D"),
    *("SeparableConv2D", "SeparableConvolution2D", "Normalization", "LayerScale"),
    *("BatchNormalization", "SyncBatchNormalization", "LayerNormalization"),
)

#: A call of a layer: the names and numbers of calls of the models that it is in, and its own.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Layer:
    """A call of a layer, or of an operation that Keras recorded as one.

    Attributes:
        name: Its name.
        kind: Its class; of a TensorFlow function, the name of that.
        config: Its settings.
        inputs: The calls whose outputs it reads.
        is_known: Whether it is of Keras or TensorFlow itself, so that it computes what its class
            says. HDF5 files do not tell, except by its name.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[Key, ...] = ()
    is_known: bool = False


@dataclass(frozen=True)
class Model:
    """The layers of a model, and of the models in it.

    Attributes:
        layers: Each call of a layer.
        outputs: The calls whose outputs are those of the model.
        own: The classes of the models, where they are not Keras' own.
    """

    layers: Mapping[Key, Layer]
    outputs: tuple[Key, ...]
    own: tuple[str, ...] = ()


def parsed(text: bytes) -> Model | None:
    """Return the model that a configuration describes.

    Args:
        text: The configuration, as JSON.

    Returns:
        None if it is none of a functional or sequential model, or cannot be understood.
    """
    try:
        if not 0 < len(text) <= _MAX_BYTES:
            return None
        layers: dict[Key, Layer] = {}
        found = json.loads(text)
        model = Model(layers, tuple(_add(found, (), [], layers)), tuple(_own(found)))
        return model if all(i in layers for each in layers.values() for i in each.inputs) else None
    except MALFORMED:
        return None


def name(text: bytes) -> str | None:
    """Return the name of the model that a configuration describes; None if it has none.

    Example:
        >>> name(b'{"class_name": "Functional", "config": {"name": "lenet5"}}')
        'lenet5'
    """
    try:
        found = json.loads(text)["config"]["name"] if len(text) <= _MAX_BYTES else None
    except MALFORMED:
        return None
    return found if isinstance(found, str) else None


def part(text: bytes, entry: str) -> bytes:
    """Return the configuration of a model within a model.

    Args:
        text: The configuration of the outer model, as JSON.
        entry: The name of the inner one; or what files call it, ``functional_1``, after its class
            and its number among the layers of that class. Several are joined by dots.

    Returns:
        JSON; empty if there is no such model.

    Example:
        >>> inner = {"class_name": "Functional", "name": "base", "config": {"layers": []}}
        >>> outer = json.dumps({"class_name": "Functional", "config": {"layers": [inner]}})
        >>> json.loads(part(outer.encode(), "functional")) == inner
        True
    """
    try:
        model = json.loads(text) if len(text) <= _MAX_BYTES else None
        found = _part(model, entry) if model else None
    except MALFORMED:
        found = None
    return json.dumps(found).encode() if found else b""


def _part(model: Mapping[str, Any], entry: str) -> Mapping[str, Any] | None:
    if not entry:
        return model
    config = model["config"]
    counts: Counter[str] = Counter()
    for each in config if isinstance(config, list) else config["layers"]:
        kind = _snake_case(_kind(each))
        numbered = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        if isinstance(each["config"], list) or "layers" in each["config"]:
            for name in (_name(each).replace(":", "."), numbered):
                if f"{entry}.".startswith(f"{name}."):
                    return _part(each, entry[len(name) + 1 :])
    return None


def _snake_case(name: str) -> str:
    """Return what Keras calls a class in files.

    Example:
        >>> _snake_case("Functional"), _snake_case("MyNet2D")
        ('functional', 'my_net2d')
    """
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _add(
    model: Mapping[str, Any], path: Key, inputs: list[Key], layers: dict[Key, Layer]
) -> list[Key]:
    """Add the layers of a model that is called on some inputs; return the calls it returns."""
    config = model["config"]
    if len(path) > 2 * _MAX_DEPTH:
        raise ValueError("models nested too deep")
    if isinstance(config, list) or "output_layers" not in config:  # in turn; a list in Keras 2.1
        for each in config if isinstance(config, list) else config["layers"]:
            inputs = _call(each, (*path, _name(each), 0), inputs, layers)
        return inputs
    if len(config["layers"]) > MAX_LAYERS:
        raise ValueError("too many layers")
    outputs: dict[tuple[str, int], list[Key]] = {}
    entries = [name for name, *_ in _references(config["input_layers"])]
    # Keras may count the calls of a model within this one from 1.
    named = _references([config["layers"], config["output_layers"]])
    highest = dict(sorted(each[:2] for each in named))

    def read(value: Any) -> list[Key]:
        found = ((outputs[name, call], number) for name, call, number in _references(value))
        return [keys[number] if number < len(keys) else keys[0] for keys, number in found]

    for each in config["layers"]:
        name, calls = _name(each), each.get("inbound_nodes") or [[]]
        first = max(highest.get(name, 0) - len(calls) + 1, 0)
        for number, call in enumerate(calls, first):
            own = [inputs[entries.index(name)]] if inputs and name in entries else read(call)
            outputs[name, number] = _call(each, (*path, name, number), own, layers)
    return read(config["output_layers"])


def _call(
    layer: Mapping[str, Any], key: Key, inputs: list[Key], layers: dict[Key, Layer]
) -> list[Key]:
    """Add a call of a layer, or of a model; return the calls that compute its outputs."""
    config = layer["config"]
    if isinstance(config, list) or "layers" in config:
        return _add(layer, key, inputs, layers)
    shown = _name(layer).replace(":", ".")  # as in the names of arrays
    layers[key] = Layer(shown, _kind(layer), config, tuple(inputs), _is_known(layer))
    if len(layers) > MAX_LAYERS:
        raise ValueError("too many layers")
    return [key]


def _own(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield the classes of a model, and of those in it, where they are not Keras' own."""
    if (kind := _kind(model)) not in ("Functional", "Sequential", "Model"):
        yield kind
    config = model["config"]
    for each in config if isinstance(config, list) else config["layers"]:
        if isinstance(each["config"], list) or "layers" in each["config"]:
            yield from _own(each)


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get("name") or layer["config"]["name"])


def _kind(layer: Mapping[str, Any]) -> str:
    kind = str(layer["class_name"])
    if kind == "TFOpLambda":  # a function of TensorFlow, such as math.truediv
        kind = str(layer["config"]["function"]).rpartition(".")[2]
    return kind.rpartition(">")[2]  # of a registered class, such as Custom>Scale


def _is_known(layer: Mapping[str, Any]) -> bool:
    kind = str(layer["class_name"])
    if "module" not in layer:
        return kind in (*_WITH_WEIGHTS, "TFOpLambda")
    package = str(layer["module"]).partition(".")[0]
    return package in ("keras", "tf_keras") and kind != "Lambda" and ">" not in kind


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """Yield the outputs of layers that a part of a configuration names, wherever they are in it.

    They are ``[name, number of the call, number of the output]``, of a layer before this one.
    """
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            value = {"": value["config"]["keras_history"]}
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        match value:
            case [str(name), int(call), int(output), *rest]:
                yield name, call, output
                yield from _references(rest)
            case _:
                for each in value:
                    yield from _references(each)
