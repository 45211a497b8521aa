"""From what a caller calls weights to the values of a network's parameters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import InputError, WeightsError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Parameter
from zoo.language import graphs
from zoo.language.options import Chosen
from zoo.weights import cache, checking, initial, readers, sources, zoo_file
from zoo.weights.checkpoint import Array, Checkpoint, Stored

Weights = str | os.PathLike[str]


def find(weights: Weights, name: str | None, chosen: Chosen) -> Checkpoint:
    """Open what a caller calls weights.

    Args:
        weights: The path of a file; ``<source>``, whose file is downloaded; or
            ``<source>:<path>``, a file that is of that source.
        name: The network they are for; None if the file is to say.
        chosen: The options that the network is wanted with.

    Raises:
        UnknownNameError, InputError, WeightsError: It is none, or is not of that network.
    """
    text = os.fspath(weights) if isinstance(weights, str | os.PathLike) else ""
    if not text:
        raise InputError(f"expected a path or a source of weights, got {weights!r:.60}")
    if text in sources.sources() and not os.path.isfile(text):
        if name is None:
            raise InputError(f"say which network of {text}'s: a model's name is needed")
        return _published(cache.fetch(text, name), sources.source(text), name, chosen)
    before, colon, rest = text.partition(":")
    if colon and len(before) > 1 and not os.path.isfile(text):  # one letter is a Windows drive
        return _published(Path(rest), sources.source(before), name, chosen)
    path = Path(text)
    if path.suffix.lower() == ".safetensors" and os.path.isfile(path) and zoo_file.is_neutral(path):
        return zoo_file.read(path)
    if not os.path.exists(path) and not path.suffix:
        sources.source(text)  # a misspelt source, perhaps
    return _published(path, None, name, chosen)


def filling(
    network: Graph,
    checkpoint: Checkpoint,
    *,
    dtype: str,
    head: str | None = None,
    stem: str | None = None,
    seed: int = 0,
    init: str = "he_uniform",
    mmap: bool = False,
) -> tuple[Graph, Callable[[Parameter], Array]]:
    """Say with what a checkpoint fills each parameter of a network.

    Args:
        network: What is to be built.
        checkpoint: The weights.
        dtype: Of the arrays.
        head: ``new`` for a classifier that starts anew.
        stem: ``adapt`` to sum or repeat the first convolution over its input channels.
        seed: For a new head.
        init: For a new head, as for :func:`zoo.build`; zoo's own in place of ``native``.
        mmap: Whether arrays may be pages of the file.

    Returns:
        The graph, with what goes with the weights; and a function that gives each value.

    Raises:
        InputError: ``head`` or ``stem`` is none.
        WeightsError: They do not fit, or are of a network that computes something else.
    """
    for option, given, word in (("head", head, "new"), ("stem", stem, "adapt")):
        if given not in (None, word):
            raise InputError(f"{option} must be None or {word!r}, got {given!r}")
    own = _same_network(network, checkpoint)
    stored = checkpoint.arrays
    expected = {p.name: p.shape for p in network.parameters}
    if head or stem or any(n not in stored or stored[n].shape != s for n, s in expected.items()):
        new = _depending(network, checkpoint, "num_classes")
        first = _depending(network, checkpoint, "in_channels")
    else:
        new, first = set(), set()
    for name in first & stored.keys() & expected.keys() if stem else ():
        expected[name] = _unadapted(expected[name], stored[name].shape)
    if head:
        expected = {name: shape for name, shape in expected.items() if name not in new}
    checking.check(
        expected,
        {n: (s.shape, s.dtype) for n, s in stored.items() if not (head and n in new)},
        graphs.left_out(network),
        f"the weights of {checkpoint.title}",
        _sized(network, checkpoint, expected) or _hint(expected, stored, new, first),
    )
    init = "he_uniform" if init == "native" else init
    draw_new = initial.drawing(network, seed, init, dtype, new) if head else None

    def value(parameter: Parameter) -> Array:
        if draw_new and parameter.name in new:
            return draw_new(parameter)
        found = stored[parameter.name]
        array = found.mapped() if mmap and found.mapped else found.read()
        if array.shape != parameter.shape:
            array = adapted(array, parameter.shape[1])
        return array.astype(dtype, copy=False)

    return _with_what_goes_along(network, checkpoint, own), value


def adapted(kernel: Array, channels: int) -> Array:
    """Make a kernel [out, in, h, w] read another number of channels.

    For one channel the kernel is summed over those it had; for more it is repeated, and scaled so
    that it sums to as much.

    Source: timm, ``adapt_input_conv``.

    Example:
        >>> adapted(np.array([[[[1.0]], [[2.0]], [[3.0]]]]), 1).ravel()
        array([6.])
        >>> adapted(np.array([[[[1.0]], [[2.0]], [[3.0]]]]), 4).ravel()
        array([0.75, 1.5 , 2.25, 0.75])
    """
    had = kernel.shape[1]
    if channels == 1:
        return np.asarray(kernel.sum(axis=1, keepdims=True, dtype=kernel.dtype))
    repeated = kernel[:, np.arange(channels) % had]
    return np.asarray(repeated * kernel.dtype.type(had / channels))


def _published(
    path: Path, table: sources.Source | None, name: str | None, chosen: Chosen
) -> Checkpoint:
    """Open a publisher's file."""
    stored = readers.read(path)
    found = sources.identify(path, stored)
    if table:
        found = [(each, network) for each, network in found if each is table]
    if name is not None and not any(network == name for _, network in found):
        if found:
            other, network = found[0]
            raise WeightsError(
                f"{path} holds {other.title}'s {network}, which is another network than {name}; "
                f"build {network!r}"
            )
        table = table or _nearest(path, name, stored)
        if table is None or name not in table.networks:
            raise WeightsError(
                f"{path}: its names are those of no source that zoo knows for {name}; it has such "
                f"as {', '.join(list(stored)[:3])}"
            )
        found = [(table, name)]
    if not found:
        raise WeightsError(
            f"{path}: its names are those of no network that zoo knows; it has such as "
            f"{', '.join(list(stored)[:3])}. If it is of one, name that: what does not fit is told"
        )
    first, network = next(pair for pair in found if name in (None, pair[1]))
    return sources.canonical(first, network, path, stored, chosen)


def _nearest(path: Path, name: str, stored: Mapping[str, Stored]) -> sources.Source | None:
    """The source whose names of a network a file has most of, if any."""

    def known(table: sources.Source) -> int:
        places = sources.places(table, sources.whole(table, name))
        keys = table.in_table(name, stored)
        return sum(key in keys for place in places.values() for key in place.names)

    tables = [t for t in sources.sources().values() if name in t.networks]
    best = max(tables, key=known, default=None)
    return best if best and known(best) else None


def _same_network(network: Graph, checkpoint: Checkpoint) -> Graph:
    """The checkpoint's own network with these options; refused if it computes something else."""
    if network.document == checkpoint.document:
        return network
    own = checkpoint.graph(**network.options)
    ours, theirs = dict(_computed(network)), dict(_computed(own))
    different = [n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n)]
    if different:
        names = ", ".join(different[:4]) + (", ..." if len(different) > 4 else "")
        raise WeightsError(
            f"{checkpoint.title} holds weights of {own.name}, which computes something else than "
            f"{network.name} at {len(different)} nodes: {names}. zoo.load gives {own.name}; for "
            "the arrays as they are: zoo.set_weights(model, safetensors.numpy.load_file(path))"
        )
    return own


def _computed(network: Graph) -> Iterator[tuple[str, Any]]:
    """What each node computes in evaluation: dropout and the like are the training's business."""
    dropped: dict[str, str] = {}
    for node in network.nodes:
        inputs = tuple(dropped.get(name, name) for name in node.inputs)
        if "rate" in node.attributes:  # a dropout, of values or of examples
            dropped[node.name] = inputs[0]
            continue
        attributes = {k: v for k, v in node.attributes.items() if k != "momentum"}
        yield node.name, (node.op, inputs, attributes)


def _depending(network: Graph, checkpoint: Checkpoint, option: str) -> set[str]:
    """The parameters whose shape depends on an option: the classifier's, or the first layer's."""
    other = checkpoint.graph(**{**network.options, option: network.options[option] + 1})
    shapes = {p.name: p.shape for p in other.parameters}
    return {p.name for p in network.parameters if shapes.get(p.name) != p.shape}


def _unadapted(expected: tuple[int, ...], stored: tuple[int, ...]) -> tuple[int, ...]:
    if len(expected) == len(stored) == 4 and expected[0] == stored[0]:
        return (expected[0], stored[1], *expected[2:])
    return expected


def _hint(
    expected: Mapping[str, Any], stored: Mapping[str, Stored], new: set[str], first: set[str]
) -> str:
    wrong = {n for n, shape in expected.items() if n in stored and stored[n].shape != shape}
    if not wrong or any(n not in stored for n in expected):
        return ""
    if wrong <= new:
        count = stored[min(wrong, key=len)].shape[0]
        return (
            f"They are the classifier's: num_classes={count} takes it, head='new' starts it anew."
        )
    if wrong <= first:
        return "They read the input: stem='adapt' sums or repeats them over its channels."
    if wrong <= new | first:
        return "head='new' starts the classifier anew, stem='adapt' adapts what reads the input."
    return ""


def _sized(network: Graph, checkpoint: Checkpoint, expected: Mapping[str, Any]) -> str:
    """Say which input size the weights are of, if that is what does not fit."""
    own = checkpoint.graph(**{**network.options, "input_size": None})
    shapes = {p.name: p.shape for p in own.parameters}
    stored = checkpoint.arrays
    if own.input_shape == network.input_shape or any(
        name not in stored or stored[name].shape != shapes.get(name) for name in expected
    ):
        return ""
    height, width = own.options["input_size"]
    size = height if height == width else (height, width)
    return f"They are of another input size: input_size={size} takes them."


def _with_what_goes_along(network: Graph, checkpoint: Checkpoint, own: Graph) -> Graph:
    """The network with the preprocessing that the weights were trained with, and their origin."""
    document = network.document
    if own.preprocessing != network.preprocessing:
        document = {**document, "preprocessing": own.preprocessing}
    return replace(
        network, preprocessing=own.preprocessing, document=document, origin=checkpoint.origin
    )
