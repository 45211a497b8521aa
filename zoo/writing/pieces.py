"""The pieces that a source file consists of: one for each block of a spec, with its members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.writing.folding import Text


@dataclass(frozen=True)
class Made:
    """A call that makes a layer.

    Attributes:
        target: What is called: a place, as in :class:`zoo.backend.calls.Call`.
        arguments: A constant or a ``Text`` for each argument.
    """

    target: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Used:
    """The use of another piece, or of one that a parameter stands for."""

    piece: Piece
    arguments: Mapping[str, Any]
    name: Text | None = None


@dataclass(frozen=True)
class Either:
    """One of two layers."""

    condition: Text
    first: Layer
    second: Layer


@dataclass(frozen=True)
class Chain:
    """Layers with names, one after the other."""

    members: tuple[Member, ...]


Layer = Made | Used | Either | Chain


def leaves(layer: Layer) -> Iterator[Made | Used]:
    """Yield what a layer consists of."""
    if isinstance(layer, Chain):
        for member in layer.members:
            yield from leaves(member.layer)
    elif isinstance(layer, Either):
        yield from leaves(layer.first)
        yield from leaves(layer.second)
    else:
        yield layer


@dataclass(frozen=True)
class Loop:
    """Members with numbered names, or with those of the rows of a table.

    Attributes:
        count: How many there are, if no list determines it.
        variables: The names of what varies from one to the next.
        rows: Their values: a ``Text``, or a tuple.
        row: What a row of a table is called; empty if the names are numbered.
        channels: The name of the channels that each reads, if they change on the way.
        start: The channels that the first one reads.
        following: The channels that the next one reads.
        uses_index: Whether a member depends on its number.
    """

    count: Any
    variables: tuple[str, ...] = ()
    rows: Any = None
    row: str = ""
    channels: str = ""
    start: Any = None
    following: Any = None
    uses_index: bool = False


@dataclass(frozen=True)
class Table:
    """A constant of the file with the rows of a table of the spec.

    Attributes:
        columns: What its cells are.
        rows: The name of each row, and its cells.
        piece: The piece that takes them, if it is one.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Any, ...]]
    piece: Piece | None


@dataclass(frozen=True)
class Member:
    """A layer of a piece.

    Attributes:
        key: Its name in the spec.
        op: Its operation; empty for a block.
        layer: What makes it.
        sources: The names of the members that it reads, or ``input``.
        condition: Whether there is one; None for always.
        loop: How it is repeated, if it is.
        table: The table of the spec that its arguments come from, if there is one.
        is_aux: Whether it belongs to an auxiliary head.
    """

    key: str
    op: str
    layer: Layer
    sources: tuple[str, ...]
    condition: Text | None = None
    loop: Loop | None = None
    table: str = ""


@dataclass(eq=False)
class Piece:
    """A class or function of the source file.

    Attributes:
        kind: Its name in the spec.
        name: Its name in CamelCase.
        about: What it is, in sentences.
        parameters: The names of its parameters, with their defaults; ``...`` for none.
        local: Names that are computed first, and their expressions.
        members: Its layers.
        output: The name of the member whose value it returns.
        outputs: For the network with auxiliary heads, the member of each output.
        channels: The name of the parameter for the channels that it reads, if it has one.
        is_network: Whether it is the whole network.
        input_shape: For the whole network, the height, width and channels of its input.
        bindings: For each instance, the values of the parameters.
        group: For a group of layers that became a piece of its own, its place in the spec.
        unrolled: Member that is one of several repetitions -> the layer's name in the spec.
        others: The pieces that a layer may be instead of it; they have the same parameters.
    """

    kind: str
    name: str
    about: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    local: dict[str, Text] = field(default_factory=dict)
    members: Sequence[Member] = ()
    output: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    channels: str = ""
    is_network: bool = False
    input_shape: tuple[int, ...] = ()
    bindings: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    group: str = ""
    unrolled: dict[str, str] = field(default_factory=dict)
    others: list[Piece] = field(default_factory=list, repr=False)

    def place(self, key: str) -> str:
        """Return where the spec has a layer: the block, a slash, and names within it."""
        own, dot, inner = key.partition(".")
        key = self.unrolled.get(own, own) + dot + inner
        if self.group:
            return f"{self.group}.{key}"
        return f"{'' if self.is_network else self.kind}/{key}"
