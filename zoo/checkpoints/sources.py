"""The publishers' own names, read from the tables in ``spec/sources``, one table a source.

A table says by which names a publisher calls the nodes of a network, how its arrays lie, which it
leaves out, and where the file is. Names are matched by name alone: never by order or by shape.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from zoo.checkpoints.stored import Array, Checkpoint, Stored
from zoo.errors import UnknownNameError, WeightsError, suggestion
from zoo.language import catalogue
from zoo.language.document import read
from zoo.language.expansion import graph
from zoo.language.fields import Strict
from zoo.language.options import Chosen
from zoo.layouts import outputs_first
from zoo.network import Graph, Node, Shape

Layout = Literal["OIHW", "HWIO", "OI", "IO"]


class Layouts(Strict):
    """The order of the axes of kernels, and of a map that was flattened for a linear layer."""

    conv: Layout
    linear: Layout
    flatten: Literal["CHW", "HWC"]


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


class Network(Strict):
    """A network that a source publishes."""

    about: str | None = None
    like: str | None = Field(None, description="a source whose names of this network hold here")
    names: dict[str, str] = Field({}, description="zoo's name of a node or block: the source's")
    layouts: dict[str, Layout] = Field({}, description="of single nodes, where they are different")
    file: File | None = None


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

    def names(self, network: str) -> dict[str, str]:
        """zoo's name of a node or block -> the source's."""
        own = self.networks[network]
        borrowed = sources()[own.like].names(network) if own.like else {}
        return {**borrowed, **own.names}


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
    known = rules(table, network.name)
    single = table.networks[network.name].layouts
    found = {}
    for node in network.nodes:
        if not node.parameters:
            continue
        theirs = translated(node.name, known)
        if theirs is None:
            raise WeightsError(
                f"{table.title}'s table has no name for {network.name}'s {node.name}"
            )
        kernel = single.get(node.name, getattr(table.layouts, node.op, None))
        for parameter in node.parameters:
            local = parameter.name.removeprefix(f"{node.name}.")
            names = table.parameters.get(node.op, {}).get(local, [local])
            layout = kernel if len(parameter.shape) > 1 else None
            found[parameter.name] = Place(tuple(f"{theirs}.{n}" for n in names), node, layout)
    return found


Rules = list[tuple[re.Pattern[str], str]]

#: A star of a source's name, and by how much its number is less or more than zoo's.
_STAR = re.compile(r"\*([-+]\d+)?")


def rules(table: Source, network: str) -> Rules:
    """Return patterns of zoo's names of a network with the source's, the most particular first."""
    found = [(pattern(ours), theirs) for ours, theirs in table.names(network).items()]
    return sorted(found, key=lambda rule: -len(rule[0].pattern))


def translated(name: str, known: Rules) -> str | None:
    """Return the source's name of a node or block; None if its table has none."""
    for ours, theirs in known:
        if match := ours.fullmatch(name):
            *stars, rest = match.groups()
            for star in stars:
                theirs = filled(theirs, star)
            return theirs + (rest or "")
    return None


def filled(theirs: str, star: str) -> str:
    """Return a source's name with what the first star stands for, counted on where it says so.

    Example:
        >>> filled("layer*.*-1.conv", "2"), filled("conv*+1_block*", "2")
        ('layer2.*-1.conv', 'conv3_block*')
    """

    def counted(found: re.Match[str]) -> str:
        return str(int(star) + int(found[1])) if found[1] else star

    return _STAR.sub(counted, theirs, count=1)


def pattern(ours: str) -> re.Pattern[str]:
    """Return a pattern of a node's or block's name, and of all that is under it."""
    parts = [re.escape(part) for part in ours.split("*")]
    return re.compile("([^.]+)".join(parts) + r"(\..+)?")


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
    kept = {key: value for key, value in stored.items() if not is_left_out(table, key)}
    arrays: dict[str, Stored] = {}
    for parameter, place in places(table, network).items():
        key = next((key for key in place.names if key in kept), None)
        if key is not None:
            arrays[parameter] = laid(kept.pop(key), place, table.layouts.flatten == "HWC")
    arrays.update({f"{key} ({table.title}'s name)": value for key, value in kept.items()})
    origin = {"source": table.title, "file": path.name, "licence": table.licence}
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
    keys = {key for key in stored if not is_left_out(table, key)}
    needed = [p.names for n, p in known.items() if n.partition(".")[0] not in omitted]
    every = {key for place in known.values() for key in place.names}
    return keys <= every and all(any(key in keys for key in names) for names in needed)


def _shapes_had(table: Source, name: str, stored: Mapping[str, Stored]) -> int:
    """Count the parameters of a network that a file has, in their shapes."""
    network = whole(table, name)
    shapes = {p.name: p.shape for p in network.parameters}
    return sum(
        laid(stored[key], place, flattened_last=False).shape == shapes[parameter]
        for parameter, place in places(table, network).items()
        for key in place.names
        if key in stored
    )


def laid(stored: Stored, place: Place, flattened_last: bool) -> Stored:
    """Return an array in the canonical layout: [out, in, h, w], or [out, in] in CHW order."""
    layout, shape = place.layout, stored.shape
    linear = place.node.op == "linear"
    if layout is None or len(layout) != len(shape):  # the shape is found wrong when all are
        return stored
    if linear and layout == "OIHW":  # a convolution over the whole map
        flat = (shape[0], shape[1] * shape[2] * shape[3])
        return Stored(flat, stored.dtype, lambda: stored.read().reshape(flat))
    if layout[0] == "O":
        return stored
    order: Shape = (*shape[:-3:-1], *shape[:-2])
    flat_map = place.node.attributes.get("layout") if flattened_last and linear else None

    def read() -> Array:
        return outputs_first(stored.read(), flat_map)

    return Stored(order, stored.dtype, read)
