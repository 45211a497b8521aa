"""Docstrings of the classes and functions of a source file."""

from __future__ import annotations

import re

from zoo.graphs.graph import Graph
from zoo.writing.dialect import Dialect
from zoo.writing.layout import INDENT, paragraph
from zoo.writing.naming import plural
from zoo.writing.pieces import Chain, Member, Piece, Used

_WORDS = {
    "conv": "convolution",
    "linear": "dense layer",
    "batch_norm": "batch norm",
    "layer_norm": "layer norm",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "silu": "SiLU",
    "gelu": "GELU",
    "max_pool": "max pool",
    "avg_pool": "average pool",
    "global_avg_pool": "global average pool",
}


def docstring(piece: Piece, dialect: Dialect, is_network: bool) -> list[str]:
    """Return the lines of a docstring."""
    about = piece.about or _summary(piece)
    about = about if about.endswith((".", "?", "!")) else f"{about}."
    return paragraph([about], INDENT, '"""', '"""')


def _summary(piece: Piece) -> str:
    """Say what a block consists of, where its spec does not."""
    names = list(dict.fromkeys(_name(member) for member in piece.members))
    names = [name for name in names if name]
    if len(piece.members) == 1 and isinstance(piece.members[0].layer, Used):
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", piece.members[0].layer.piece.name)
        return f"{name.capitalize()} blocks, one after the other."
    if not names or len(names) > 6:
        return f"The block {piece.kind}."
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed[:1].upper()}{listed[1:]}."


def _name(member: Member) -> str:
    if isinstance(member.layer, Chain):
        return member.key.replace("_", " ")
    name = _WORDS.get(member.op, member.op.replace("_", " ")) or member.key.replace("_", " ")
    return plural(name) if member.loop else name


def returned(graph: Graph, network: Piece, dialect: Dialect) -> str:
    """Say what a network takes and returns."""
    first = graph.outputs[0].name
    shape = graph.output_nodes[first].shape
    sizes = ["num_classes" if "num_classes" in network.parameters else shape[0], *shape[1:]]
    result = f"{first} [N, {', '.join(map(str, sizes))}]"
    sentence = f"Takes images {dialect.images(graph.input_shape)} and returns {result}"
    if len(network.outputs) > 1 and "aux" in network.parameters:
        sentence += "; with aux, in a dict with those of the auxiliary heads"
    elif len(network.outputs) > 1:
        others = [name for name in network.outputs if name != first]
        sentence += f", in a dict with {' and '.join(others)}"
    return f"{sentence}."
