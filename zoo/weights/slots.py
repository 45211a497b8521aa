"""The location of each parameter of a network in a source's files, and how to read it."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import outputs_first
from zoo.graphs.shapes import Shape
from zoo.language.graphs import graph, graph_of_document
from zoo.language.options import Chosen
from zoo.ops.composite import opened
from zoo.weights import names as naming
from zoo.weights.checkpoint import Array, Checkpoint, Stored
from zoo.weights.sources import Layout, Source


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one parameter in the files of a source.

    Attributes:
        names: The source's names for it; a file has one of them.
        shape: Its canonical shape.
        layout: The order of a kernel's axes in the file; None for vectors.
        op: The operation of its node.
        flattened: ``(C, H, W)`` if it is the kernel of a linear layer that reads a flattened map,
            and the source flattens maps in HWC order.
        optional: Whether it belongs to an auxiliary head, which a file need not have.
    """

    names: tuple[str, ...]
    shape: Shape
    layout: Layout | None
    op: str
    flattened: Shape | None = None
    optional: bool = False


def slots_of(table: Source, network: Graph, heads: Collection[str] = ()) -> dict[str, Slot]:
    """Return the slot of each parameter of a network in the files of a source.

    Args:
        table: The source.
        network: The graph of one of its networks.
        heads: Top-level names of the auxiliary heads.

    Returns:
        Canonical name -> slot, in the graph's order.

    Raises:
        WeightsError: The table has no name for a parameter.
    """
    published = table.network(network.name)
    rules = naming.rules(table.names(network.name))
    local_names = {**table.parameters, **published.parameters}
    every = [parameter.name for parameter in network.parameters]
    numbers = naming.block_numbers(published.blocks, every) if published.blocks else {}
    channels_last = table.layouts.flatten == "HWC"
    slots = {}
    for node in network.nodes:
        overrides = (v for name, v in published.layouts.items() if fnmatchcase(node.name, name))
        layout = next(overrides, table.layouts.of(node))
        flattened = None
        if channels_last and node.op == "linear":
            flattened = node.attributes.get("layout")
        for number, parameter in enumerate(node.parameters):
            local = parameter.name.removeprefix(f"{node.name}.")
            alternatives = local_names.get(node.op, {}).get(local, [local])
            if table.numbers:
                alternatives = [*alternatives, str(number)]
            names = naming.translated(parameter.name, rules, published.words, local, alternatives)
            if names is None:
                raise WeightsError(
                    f"{table.title}'s table has no name for {network.name}'s {parameter.name}"
                )
            block = numbers.get(parameter.name, "#")
            names = tuple(name.replace("#", block) for name in names)
            is_kernel = len(parameter.shape) > 1
            slots[parameter.name] = Slot(
                names,
                parameter.shape,
                layout if is_kernel else None,
                node.op,
                flattened if is_kernel else None,
                parameter.name.partition(".")[0] in heads,
            )
    return slots


@functools.lru_cache(maxsize=512)
def published_slots(table: Source, network: str | Graph) -> Mapping[str, Slot]:
    """Return the slots of a network of a source, with every auxiliary head.

    Args:
        table: The source.
        network: The network's name; or its graph, if zoo does not ship it.

    Returns:
        Canonical name -> slot.
    """
    heads = _graph(network).omitted
    return slots_of(table, opened(with_heads(network), ()), heads)


def with_heads(network: str | Graph) -> Graph:
    """Return the graph of a network with every auxiliary head it can have."""
    network_graph = _graph(network)
    if not network_graph.omitted:
        return network_graph
    if isinstance(network, str):
        return graph(network, aux=True)
    document: Any = network.document  # annotated as a general mapping
    return graph_of_document(network.name, document, Chosen(aux=True))


def _graph(network: str | Graph) -> Graph:
    return graph(network) if isinstance(network, str) else network


def published_checkpoint(
    table: Source, network: str | Graph, path: Path, stored: Mapping[str, Stored], chosen: Chosen
) -> Checkpoint:
    """Give a source's arrays their canonical names and layouts.

    Args:
        table: The source.
        network: As for :func:`published_slots`.
        path: The file, for messages.
        stored: Name in the file -> array.
        chosen: The options to build the network with.

    Returns:
        The checkpoint, without the arrays that the table leaves out, and without an origin. Arrays
        that are not in the table are included under their names in the file.
    """
    name = network if isinstance(network, str) else network.name
    arrays, rest = canonical(table, network, stored)
    arrays.update({f"{key} (in the file)": stored[key] for key in rest})
    document: Any = _graph(network).document  # annotated as a general mapping
    if own := table.networks[name].preprocessing:
        document = {**document, "preprocessing": {**document.get("preprocessing", {}), **own}}
    return Checkpoint(path.name, name, document, chosen, arrays)


def canonical(
    table: Source, network: str | Graph, stored: Mapping[str, Stored]
) -> tuple[dict[str, Stored], list[str]]:
    """Return a source's arrays by canonical names, in canonical layouts, and the names of the rest.

    Args:
        table: The source.
        network: As for :func:`published_slots`.
        stored: Name in the file -> array.
    """
    keys, rest = located(table, network, stored)
    slots = published_slots(table, network)
    return {p: in_canonical_layout(stored[key], slots[p]) for p, key in keys.items()}, rest


def located(
    table: Source, network: str | Graph, stored: Mapping[str, Stored]
) -> tuple[dict[str, str], list[str]]:
    """Return a source's names in a file by canonical names, and the rest; see :func:`canonical`."""
    name = network if isinstance(network, str) else network.name
    remaining = table.table_names(name, table.kept(stored))
    keys: dict[str, str] = {}
    for parameter, slot in published_slots(table, network).items():
        key = next((remaining.pop(name) for name in slot.names if name in remaining), None)
        if key is not None:
            keys[parameter] = key
    return keys, list(remaining.values())


def in_canonical_layout(stored: Stored, slot: Slot) -> Stored:
    """Return an array of a file in the canonical layout.

    Args:
        stored: The array.
        slot: Its slot.

    Returns:
        The array as [out, in, h, w], or as [out, in] with inputs in CHW order. An array whose
        number of axes does not match its slot is returned unchanged; the check of shapes will
        report it.
    """
    layout, shape = slot.layout, stored.shape
    linear = slot.op == "linear"
    if layout is None and shape.count(1) >= len(shape) - 1:  # a vector, such as [C, 1, 1]
        return Stored((math.prod(shape),), stored.dtype, lambda: stored.read().reshape(-1))
    if layout in ("OI", "IO") and not linear and len(shape) == 2:
        return _pointwise(stored, layout)
    if linear and layout in ("OI", "IO") and len(shape) == 4 and not slot.flattened:
        return _of_convolution(stored)
    if layout is None or len(layout) != len(shape):
        return stored
    if linear and layout == "OIHW":  # a convolution over the whole map
        flat = (shape[0], shape[1] * shape[2] * shape[3])
        return Stored(flat, stored.dtype, lambda: stored.read().reshape(flat))
    if linear and layout == "HWIO":
        return _over_map(stored)
    if layout[0] == "O":
        return stored
    if layout == "HWCM":
        return _depthwise(stored)

    def read() -> Array:
        return outputs_first(stored.read(), slot.flattened)

    return Stored((*shape[:-3:-1], *shape[:-2]), stored.dtype, read)


def _over_map(stored: Stored) -> Stored:
    """Return the kernel [h, w, in, out] of a convolution over a map as that of a linear layer."""
    *window, inputs, outputs = stored.shape

    def read() -> Array:
        return outputs_first(stored.read()).reshape(outputs, -1)

    return Stored((outputs, math.prod(window) * inputs), stored.dtype, read)


def _pointwise(stored: Stored, layout: str) -> Stored:
    """Return the kernel of a linear layer as that of a 1x1 convolution."""
    outputs, inputs = stored.shape if layout == "OI" else stored.shape[::-1]
    shape = (outputs, inputs, 1, 1)

    def read() -> Array:
        kernel = stored.read()
        return (kernel if layout == "OI" else kernel.T).reshape(shape)

    return Stored(shape, stored.dtype, read)


def _of_convolution(stored: Stored) -> Stored:
    """Return the kernel of a 1x1 convolution as that of a linear layer; unchanged if it is none.

    The two axes of size 1 tell whether the outputs are first or last.
    """
    first, last = stored.shape[:2] == (1, 1), stored.shape[2:] == (1, 1)
    if first == last:
        return stored
    shape = stored.shape[:2] if last else stored.shape[:1:-1]

    def read() -> Array:
        kernel = stored.read()
        return kernel.reshape(shape) if last else kernel.reshape(shape[::-1]).T

    return Stored(shape, stored.dtype, read)


def as_convolution(stored: Stored, linear: Layout, conv: Layout | None) -> Stored:
    """Return the kernel of a linear layer in the place of that of a 1x1 convolution.

    Args:
        stored: The kernel.
        linear: Its layout.
        conv: The layout of the convolution's kernel.
    """
    outputs_first_ = conv == "OIHW"
    turned = (linear == "OI") != outputs_first_
    sides = stored.shape[::-1] if turned else stored.shape
    shape = (*sides, 1, 1) if outputs_first_ else (1, 1, *sides)

    def read() -> Array:
        kernel = stored.read()
        return (kernel.T if turned else kernel).reshape(shape)

    return Stored(shape, stored.dtype, read)


def _depthwise(stored: Stored) -> Stored:
    """Return a kernel [h, w, channels, multiplier] as [channels * multiplier, 1, h, w]."""
    window, outputs = stored.shape[:2], stored.shape[2] * stored.shape[3]

    def read() -> Array:
        return outputs_first(stored.read().reshape(*window, 1, outputs))

    return Stored((outputs, 1, *window), stored.dtype, read)
