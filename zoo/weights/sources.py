"""The publishers' own names, read from the tables in ``spec/sources``, one table a source.

A table says by which names a publisher calls the nodes of a network, how its arrays lie, which it
leaves out, and where the file is. Names are matched by name alone: never by order or by shape.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zoo.errors import UnknownNameError, WeightsError, suggestion
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import outputs_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape
from zoo.language import catalogue
from zoo.language.document import read
from zoo.language.graphs import graph
from zoo.language.options import Chosen
from zoo.weights import names as naming
from zoo.weights.checkpoint import Array, Checkpoint, Stored
from zoo.weights.names import Names, listed

Layout = Literal["OIHW", "HWIO", "HWCM", "OI", "IO"]


class Strict(BaseModel):
    """Base of everything in a table: unknown fields are errors, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


class Layouts(Strict):
    """The order of the axes of kernels, and of a map that was flattened for a linear layer.

    HWCM is of depthwise convolutions alone: height, width, the channel, and which of its outputs.
    """

    conv: Layout
    depthwise: Layout | None = Field(None, description="where it is not that of conv")
    linear: Layout
    flatten: Literal["CHW", "HWC"]

    def of(self, node: Node) -> Layout | None:
        """The layout of a node's kernel; None if it has none."""
        at = node.attributes
        if self.depthwise and node.op == "conv" and 1 < at["groups"] == at["in_channels"]:
            return self.depthwise
        return {"conv": self.conv, "linear": self.linear}.get(node.op)


class File(Strict):
    """Where a publisher's file is, and its hash: all of an MD5, or a SHA-256's beginning."""

    url: str = Field(pattern=r"^https://")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{8,64}$")
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")

    @property
    def hash(self) -> tuple[str, str] | None:
        """The kind of hash and its value, if one is known."""
        for kind, value in (("md5", self.md5), ("sha256", self.sha256)):
            if value:
                return kind, value
        return None

    @property
    def name(self) -> str:
        """What the publisher calls it."""
        return self.url.rpartition("/")[2]


class Numbered(Strict):
    """Layers that a source names by a kind and a number, as its code makes them."""

    names: dict[str, Names] = Field(description="zoo's name in each layer: the kind, or kinds")
    layers: list[str] = Field(description="zoo's names of layers: number 1, 2, ...")

    @property
    def kinds(self) -> list[str]:
        """The source's words that numbers follow."""
        return [kind for kinds in self.names.values() for kind in listed(kinds)]


class Network(Strict):
    """A network that a source publishes."""

    about: str | None = None
    like: str | None = Field(None, description="a source whose names of this network hold here")
    names: dict[str, Names] = Field(
        {}, description="zoo's name of a block, node or parameter: the source's, one or several"
    )
    words: dict[str, str] = Field({}, description="what a star stands for: the source's word")
    numbered: Numbered | None = None
    parameters: dict[str, dict[str, list[str]]] = Field(
        {}, description="of operations, where they are not the source's usual"
    )
    layouts: dict[str, Layout] = Field(
        {}, description="of nodes by their names, stars allowed, where they are different"
    )
    file: File | None = None
    licence: str | None = Field(None, description="where it is not the source's")


class Source(Strict):
    """A table of ``spec/sources``."""

    format: Literal[1]
    name: str
    title: str
    about: str | None = None
    url: str
    licence: str
    formats: list[str] = Field(description="what names of its files end in")
    layouts: Layouts
    parameters: dict[str, dict[str, list[str]]] = Field(
        {}, description="operation: zoo's name of a parameter: the source's, one or several"
    )
    left_out: list[str] = Field([], description="patterns of names that have no place in zoo")
    outputs: Literal["logits", "softmax"] = "logits"
    networks: dict[str, Network]

    def network(self, name: str) -> Network:
        """A network, with what it takes over from another source."""
        own = self.networks[name]
        if not own.like:
            return own
        other = sources()[own.like].network(name)
        return own.model_copy(
            update={
                "names": {**other.names, **own.names},
                "words": {**other.words, **own.words},
                "numbered": own.numbered or other.numbered,
            }
        )

    def names(self, network: str) -> dict[str, list[str]]:
        """zoo's name of a block, node or parameter -> the source's, of which a file has one."""
        table = self.network(network)
        names = {ours: listed(theirs) for ours, theirs in table.names.items()}
        if table.numbered:
            for number, layer in enumerate(table.numbered.layers, 1):
                for ours, kinds in table.numbered.names.items():
                    names[f"{layer}.{ours}"] = [f"{kind}_{number}" for kind in listed(kinds)]
        return names

    def in_table(self, network: str, keys: Iterable[str]) -> dict[str, str]:
        """By which name a network's table knows an array -> the file's own, of all not left out."""
        numbered = self.network(network).numbered
        kept = (key for key in keys if not is_left_out(self, key))
        return naming.counted_from_one(kept, numbered.kinds if numbered else ())


@functools.cache
def sources() -> dict[str, Source]:
    """Return every source by its name."""
    found = {}
    for path in sorted((catalogue.folder() / "sources").glob("*.yaml")):
        source = Source.model_validate(read(path))
        found[source.name] = source
    return found


def source(name: str) -> Source:
    """Return a source.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in sources():
        hint = suggestion(name, sources()) or f" Known: {', '.join(sources())}."
        raise UnknownNameError(f"Unknown source of weights {name!r}.{hint}")
    return sources()[name]


@dataclass(frozen=True)
class Place:
    """Where one of zoo's parameters is in a source's file: under one of several names."""

    names: tuple[str, ...]
    node: Node
    layout: Layout | None  # None for vectors


def places(table: Source, network: Graph) -> dict[str, Place]:
    """Say where a source keeps each parameter of a network.

    Args:
        table: The source.
        network: One of its networks, with every head it can have.

    Returns:
        Canonical name -> place.

    Raises:
        WeightsError: The table does not name a node.
    """
    own = table.network(network.name)
    rules = naming.rules(table.names(network.name))
    called = {**table.parameters, **own.parameters}
    found = {}
    for node in network.nodes:
        different = (theirs for ours, theirs in own.layouts.items() if fnmatchcase(node.name, ours))
        kernel = next(different, table.layouts.of(node))
        for parameter in node.parameters:
            local = parameter.name.removeprefix(f"{node.name}.")
            theirs = called.get(node.op, {}).get(local, [local])
            names = naming.translated(parameter.name, rules, own.words, local, theirs)
            if names is None:
                raise WeightsError(
                    f"{table.title}'s table has no name for {network.name}'s {parameter.name}"
                )
            layout = kernel if len(parameter.shape) > 1 else None
            found[parameter.name] = Place(names, node, layout)
    return found


def whole(table: Source, name: str) -> Graph:
    """Make the graph of a source's network with every head it can have."""
    plain = graph(name)
    return graph(name, aux=True) if plain.omitted else plain


def canonical(
    table: Source, name: str, path: Path, stored: Mapping[str, Stored], chosen: Chosen
) -> Checkpoint:
    """Put a source's arrays under zoo's names and in its layouts.

    Args:
        table: The source.
        name: The network.
        path: The file, for messages.
        stored: The file's own name -> array.
        chosen: The options that the network is wanted with.

    Returns:
        The checkpoint; what the table leaves out is not in it, what it does not know is, under the
        source's own name.
    """
    network = whole(table, name)
    keys = table.in_table(name, stored)
    arrays: dict[str, Stored] = {}
    for parameter, place in places(table, network).items():
        key = next((keys.pop(known) for known in place.names if known in keys), None)
        if key is not None:
            arrays[parameter] = laid(stored[key], place, table.layouts.flatten == "HWC")
    arrays.update({f"{key} ({table.title}'s name)": stored[key] for key in keys.values()})
    licence = table.networks[name].licence or table.licence
    origin = {"source": table.title, "file": path.name, "licence": licence}
    document: Any = network.document  # a graph says no more of it than that it is a mapping
    return Checkpoint(path.name, name, document, chosen, arrays, origin)


def identify(path: Path, stored: Mapping[str, Stored]) -> list[tuple[Source, str]]:
    """Find the networks whose names a file has, all and no others; auxiliary heads may lack.

    Networks that differ in widths alone have the same names: the one whose shapes the file has most
    of comes first.
    """
    found = [
        (table, name)
        for table in sources().values()
        if path.suffix.lower().lstrip(".") in table.formats
        for name in table.networks
        if _fits(table, name, stored)
    ]
    if len(found) > 1:
        found.sort(key=lambda pair: -_shapes_had(pair[0], pair[1], stored))
    return found


def is_left_out(table: Source, key: str) -> bool:
    """Tell whether a source's table leaves an array out."""
    return any(fnmatchcase(key, pattern) for pattern in table.left_out)


def _fits(table: Source, name: str, stored: Mapping[str, Stored]) -> bool:
    known = places(table, whole(table, name))
    omitted = graph(name).omitted
    keys = table.in_table(name, stored).keys()
    needed = [p.names for n, p in known.items() if n.partition(".")[0] not in omitted]
    every = {key for place in known.values() for key in place.names}
    return keys <= every and all(any(key in keys for key in names) for names in needed)


def _shapes_had(table: Source, name: str, stored: Mapping[str, Stored]) -> int:
    """Count the parameters of a network that a file has, in their shapes."""
    network = whole(table, name)
    shapes = {p.name: p.shape for p in network.parameters}
    keys = table.in_table(name, stored)
    return sum(
        laid(stored[keys[known]], place, flattened_last=False).shape == shapes[parameter]
        for parameter, place in places(table, network).items()
        for known in place.names
        if known in keys
    )


def laid(stored: Stored, place: Place, flattened_last: bool) -> Stored:
    """Return an array in the canonical layout: [out, in, h, w], or [out, in] in CHW order."""
    layout, shape = place.layout, stored.shape
    linear = place.node.op == "linear"
    if layout is None and shape[1:].count(1) == len(shape) - 1:  # a vector, such as [C, 1, 1]
        return Stored(shape[:1], stored.dtype, lambda: stored.read().reshape(-1))
    if layout in ("OI", "IO") and not linear and len(shape) == 2:  # a 1x1 convolution by its place
        kernel = (*(shape if layout == "OI" else shape[::-1]), 1, 1)

        def read_linear() -> Array:
            return (stored.read() if layout == "OI" else stored.read().T).reshape(kernel)

        return Stored(kernel, stored.dtype, read_linear)
    if layout is None or len(layout) != len(shape):  # the shape is found wrong when all are
        return stored
    if linear and layout == "OIHW":  # a convolution over the whole map
        flat = (shape[0], shape[1] * shape[2] * shape[3])
        return Stored(flat, stored.dtype, lambda: stored.read().reshape(flat))
    if layout[0] == "O":
        return stored
    if layout == "HWCM":
        window, outputs = shape[:2], shape[2] * shape[3]

        def read_depthwise() -> Array:
            return outputs_first(stored.read().reshape(*window, 1, outputs))

        return Stored((outputs, 1, *window), stored.dtype, read_depthwise)
    order: Shape = (*shape[:-3:-1], *shape[:-2])
    flat_map = place.node.attributes.get("layout") if flattened_last and linear else None

    def read() -> Array:
        return outputs_first(stored.read(), flat_map)

    return Stored(order, stored.dtype, read)
