"""The publishers' tables in ``spec/sources``, one for each source of weights.

A table states which names a publisher gives to the nodes of a network, how its arrays are laid
out, which arrays have no counterpart in zoo, and where the file is. Arrays are matched by name
only, never by order or by shape.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zoo.errors import UnknownNameError, suggestion
from zoo.graphs.nodes import Node
from zoo.language import shipped
from zoo.language.document import read
from zoo.weights import names as naming
from zoo.weights.names import Names, listed

#: Names of buffers in which training tools count steps.
_COUNTERS = ("n_averaged", "*total_ops", "*total_params")

Layout = Literal["OIHW", "HWIO", "HWCM", "OI", "IO"]


class _Strict(BaseModel):
    """Base class of everything in a table: unknown fields are errors, and nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Layouts(_Strict):
    """The order of the axes of kernels, and of a map that was flattened for a linear layer.

    HWCM is for depthwise convolutions only: height, width, channel, and multiplier.
    """

    conv: Layout
    depthwise: Layout | None = Field(None, description="if it differs from that of conv")
    linear: Layout
    flatten: Literal["CHW", "HWC"]

    def of(self, node: Node) -> Layout | None:
        """Return the layout of a node's kernel, or None if the node has no kernel."""
        attributes = node.attributes
        if (
            self.depthwise
            and node.op == "conv"
            and 1 < attributes["groups"] == attributes["in_channels"]
        ):
            return self.depthwise
        return {"conv": self.conv, "linear": self.linear}.get(node.op)


class File(_Strict):
    """The URL of a publisher's file, and its hash: MD5, SHA-1, or the first digits of SHA-256.

    A file without a hash is not downloaded.
    """

    url: str = Field(pattern=r"^https?://")
    tag: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_]+$", description="what its publisher calls these weights"
    )
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{8,64}$")
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    sha1: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")
    download: bool = Field(True, description="false for an archive, and for a server without HTTPS")
    license: str | None = Field(None, description="if it differs from the network's")
    input_size: int | None = Field(None, description="if it differs from the network's")
    preprocessing: dict[str, Any] | None = Field(
        None, description="a spec's fields, if it differs from the network's"
    )

    @property
    def hash(self) -> tuple[str, str] | None:
        """The kind of hash and its value, if one is known."""
        for kind, value in (("md5", self.md5), ("sha1", self.sha1), ("sha256", self.sha256)):
            if value:
                return kind, value
        return None

    @property
    def name(self) -> str:
        """The publisher's name of the file."""
        return self.url.partition("?")[0].rpartition("/")[2]

    @property
    def is_archive(self) -> bool:
        """Whether the weights are in an archive."""
        return self.name.endswith(".tar.gz")

    @property
    def downloaded(self) -> bool:
        """Whether zoo downloads the file."""
        return self.download and self.hash is not None


class Numbered(_Strict):
    """Layers that a source names by kind and number, in the order of creation."""

    names: dict[str, Names] = Field(description="zoo's name in each layer: the kind, or kinds")
    layers: list[str] = Field(description="zoo's names of layers: number 1, 2, ...")

    @property
    def kinds(self) -> list[str]:
        """The source's words that are followed by a number."""
        return [kind for kinds in self.names.values() for kind in listed(kinds)]


class Network(_Strict):
    """A network that a source publishes."""

    about: str | None = None
    like: str | None = Field(None, description="a source that uses the same names for this network")
    names: dict[str, Names] = Field(
        {}, description="zoo's name of a block, node or parameter: the source's, one or several"
    )
    blocks: str | None = Field(
        None, description="zoo's name of blocks that the source numbers from 0: # is the number"
    )
    words: dict[str, str] = Field({}, description="what a star matches: the source's word for it")
    numbered: Numbered | None = None
    parameters: dict[str, dict[str, list[str]]] = Field(
        {}, description="names of parameters, where they differ from the source's usual ones"
    )
    layouts: dict[str, Layout] = Field(
        {}, description="names of nodes, stars allowed: their layout, where it differs"
    )
    preprocessing: dict[str, Any] = Field(
        {}, description="fields that differ from those of zoo's spec, of another source's weights"
    )
    file: File | None = None
    files: list[File] = Field([], description="further files of the same network, by their tags")
    license: str | None = Field(None, description="if it differs from the source's")

    @property
    def published(self) -> list[File]:
        """Every file, the one that is downloaded by default first."""
        return [self.file, *self.files] if self.file else list(self.files)


class Source(_Strict):
    """A table of ``spec/sources``."""

    format: Literal[1]
    name: str
    title: str
    about: str | None = None
    url: str
    license: str
    formats: list[str] = Field(description="suffixes of its files, without the dot")
    layouts: Layouts
    parameters: dict[str, dict[str, list[str]]] = Field(
        {}, description="operation: zoo's name of a parameter: the source's, one or several"
    )
    numbers: bool = Field(
        False, description="files may number a layer's parameters, in zoo's order"
    )
    left_out: list[str] = Field([], description="patterns of names without a counterpart in zoo")
    outputs: Literal["logits", "softmax"] = "logits"
    networks: dict[str, Network]

    def __hash__(self) -> int:
        return id(self)

    def network(self, name: str) -> Network:
        """Return a network, merged with that of the source that it is ``like``."""
        network = self.networks[name]
        if not network.like:
            return network
        base = sources()[network.like].network(name)
        return network.model_copy(
            update={
                "names": {**base.names, **network.names},
                "blocks": network.blocks or base.blocks,
                "words": {**base.words, **network.words},
                "numbered": network.numbered or base.numbered,
            }
        )

    def names(self, network: str) -> dict[str, list[str]]:
        """Return zoo's name of a block, node or parameter -> the source's names.

        A file has one of the source's names.
        """
        table = self.network(network)
        names = {zoo_name: listed(source_names) for zoo_name, source_names in table.names.items()}
        if table.numbered:
            for number, layer in enumerate(table.numbered.layers, 1):
                for zoo_name, kinds in table.numbered.names.items():
                    names[f"{layer}.{zoo_name}"] = [f"{kind}_{number}" for kind in listed(kinds)]
        return names

    def leaves_out(self, key: str) -> bool:
        """Tell by its name whether an array has no counterpart in zoo."""
        return _any_of(*self.left_out, *_COUNTERS).match(key) is not None

    def kept(self, keys: Iterable[str]) -> list[str]:
        """Return the names in a file, except those that the table leaves out."""
        left_out = _any_of(*self.left_out, *_COUNTERS)
        return [key for key in keys if not left_out.match(key)]

    def table_names(self, network: str, keys: Iterable[str]) -> dict[str, str]:
        """Return the name in a network's table -> the name in the file.

        Args:
            network: The network.
            keys: The names in the file, without those that the table leaves out.
        """
        numbered = self.network(network).numbered
        return naming.counted_from_one(keys, numbered.kinds if numbered else ())


@functools.cache
def _any_of(*patterns: str) -> re.Pattern[str]:
    """Compile patterns with stars to one."""
    return re.compile("|".join(map(fnmatch.translate, patterns)))


def folder() -> Path:
    """Return the folder of the tables."""
    return shipped.folder() / "sources"


@functools.cache
def sources() -> dict[str, Source]:
    """Return every source by its name."""
    tables = (Source.model_validate(read(path)) for path in sorted(folder().glob("*.yaml")))
    return {table.name: table for table in tables}


#: What libraries call their own weights -> the source.
_ELSEWHERE = {"default": "torchvision", "imagenet": "keras"}


def source(name: str) -> Source:
    """Return a source.

    Raises:
        UnknownNameError: There is no source of that name.
    """
    if name not in sources():
        hint = _of_publisher(name) or suggestion(name, sources())
        hint = hint or f". Known: {', '.join(sources())}."
        raise UnknownNameError(f"unknown source of weights {name[:200]!r}{hint}")
    return sources()[name]


def _of_publisher(word: str) -> str:
    """Say which source has a tag, or what another library calls its weights; empty if unknown."""
    if publisher := _ELSEWHERE.get(word.lower()):
        return f"; the weights that {publisher} calls so are {publisher!r} here"
    for table in sources().values():
        for network in table.networks.values():
            for file in network.published:
                if file.tag and file.tag.lower() == word.lower():
                    return f"; it is a tag of {table.title}: '{table.name}:{file.tag}'"
    return ""
