"""Inputs with other sizes than the one that a network was built for.

A model computes what its graph says, and a graph is made for one size. Where the graph of another
size has the same operations, attributes and parameters, the model computes that one too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from zoo.errors import InputError, SpecError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.language.graphs import with_options
from zoo.language.options import MAX_IMAGE
from zoo.ops import OPS

#: What a spec computes from the size of its input.
_SIZE = re.compile(r"\$\w[\w.]*\.(height|width)\b|\$input_size\b")
#: Where in a spec an error is; the spec may be in no file here.
_PLACE = re.compile(r"^\S+:\d+: \$\S*: ")


def check(graph: Graph, shape: Sequence[Any], channels_last: bool = False) -> None:
    """Reject an input that a model of a graph would not compute as its spec says.

    Args:
        graph: The graph that the model was built from.
        shape: The shape of the input, with the batch. A height or width that is not an integer, or
            negative, is not known yet, as in a function that is compiled for all sizes.
        channels_last: Whether the shape is [N, H, W, C].

    Raises:
        InputError: The input has other channels, not four axes, or a size at which the spec
            describes another network, or none; the message gives the reason.

    Example:
        >>> import zoo
        >>> check(zoo.graph("resnet18"), (1, 3, 225, 300))
        >>> check(zoo.graph("lenet5"), (1, 1, 40, 40))
        Traceback (most recent call last):
        ...
        zoo.errors.InputError: lenet5 was built for inputs [N, 1, 32, 32], got [1, 1, 40, 40]; \
at this size f6.linear would read 1080 values instead of 120; build it with input_size=(40, 40)
    """
    size = tuple(shape[1:])
    if channels_last and len(size) == 3:
        size = (size[2], size[0], size[1])
    if size != graph.input_shape and (reason := _refusal(graph, size)):
        c, h, w = graph.input_shape
        expected = f"[N, {h}, {w}, {c}]" if channels_last else f"[N, {c}, {h}, {w}]"
        sides = ", ".join(str(n) if is_known(n) else "?" for n in shape)
        raise InputError(f"{graph.name} was built for inputs {expected}, got [{sides}]; {reason}")


def resized(graph: Graph, height: int, width: int) -> Graph:
    """Return the graph of a spec for another size of the input.

    Raises:
        SpecError: The spec does not fit this size.
    """
    return with_options(graph, input_size=(height, width))


def is_known(side: Any) -> bool:
    """Tell whether a side of an input is a number rather than a symbol."""
    return isinstance(side, int) and side >= 0


@lru_cache(maxsize=256)
def takes_any(graph: Graph) -> bool:
    """Tell whether a model of a graph can run on every size that its layers allow.

    Example:
        >>> import zoo
        >>> takes_any(zoo.graph("resnet18")), takes_any(zoo.graph("googlenet"))
        (True, False)
    """
    return not (_SIZE.search(str(graph.document)) or any(_sized(graph)))


@lru_cache(maxsize=256)
def has_same_parameters(graph: Graph) -> bool:
    """Tell whether the parameters of a graph have the same shapes for inputs of every size.

    Example:
        >>> import zoo
        >>> has_same_parameters(zoo.graph("googlenet")), has_same_parameters(zoo.graph("lenet5"))
        (True, False)
    """
    return not any(node.op == "flatten" for node in _sized(graph))


def _sized(graph: Graph) -> Iterator[Node]:
    """Yield the nodes that another size may change: windows that round, and flattened maps."""
    of_one_size: set[str] = set()
    for node in graph.nodes:
        if OPS[node.op].fixes_size or all(source in of_one_size for source in node.inputs):
            of_one_size.add(node.name)
        elif "rounding" in node.attributes or len(node.shape) == 1:
            yield node


def _refusal(graph: Graph, size: tuple[Any, ...]) -> str | None:
    if len(size) != 3:
        return "pass a batch of images"
    channels, *sides = size
    if is_known(channels) and channels != graph.input_shape.channels:
        if graph.input_shape.channels in sides:
            return "the channels are on another axis; transpose it"
        return f"for other channels, build it with in_channels={channels}"
    if all(map(is_known, sides)):
        return _refusal_of_size(graph, *sides)
    if takes_any(graph):
        return None
    return "a size that is not known yet requires a network whose layers do not depend on it"


@lru_cache(maxsize=256)
def _refusal_of_size(graph: Graph, height: int, width: int) -> str | None:
    if not (0 < height <= MAX_IMAGE and 0 < width <= MAX_IMAGE):
        return f"its sides must be from 1 to {MAX_IMAGE}"
    try:
        here = resized(graph, *graph.input_shape[1:])
        there = resized(graph, height, width)
    except SpecError as error:
        return f"at this size, {_PLACE.sub('', str(error))}"
    if difference := _difference(here, there):
        return f"{difference}; build it with input_size=({height}, {width})"
    return None


def _difference(here: Graph, there: Graph) -> str | None:
    """Say how the network of another size differs, if it does."""
    if [n.name for n in here.nodes] != [n.name for n in there.nodes]:
        return "at this size its spec has other layers"
    for old, new in zip(here.nodes, there.nodes, strict=True):
        if (old.op, old.inputs) != (new.op, new.inputs):
            return f"at this size {old.name} would be another layer"
        for key, value in new.attributes.items():
            if old.attributes.get(key) != value:
                return _changed(old, key, old.attributes.get(key), value)
        if [p.shape for p in old.parameters] != [p.shape for p in new.parameters]:
            return f"at this size {old.name} would have other weights"
    return None


def _changed(node: Node, key: str, old: Any, new: Any) -> str:
    if key == "in_features":
        return f"at this size {node.name} would read {new} values instead of {old}"
    if key == "padding" and "rounding" in node.attributes:
        rule = "ceil_mode" if node.attributes["rounding"] == "ceil" else "padding: same"
        return f"at this size {rule} would pad {node.name} by {list(new)} instead of {list(old)}"
    return f"at this size {node.name} would have another {key}"
