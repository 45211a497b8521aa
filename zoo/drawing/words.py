"""What a box says: an operation in the words of a lecture, and the family its colour shows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from zoo.network import Block, Node, Shape

#: Families of operations, in the order of the legend, and their operations. Every operation is in
#: one; what is folded and more than one layer of weights is a ``block``.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "input and output": (),
    "block": (),
    "convolution": ("conv",),
    "dense": ("linear",),
    "pooling": ("max_pool", "avg_pool", "global_avg_pool", "adaptive_avg_pool"),
    "normalisation": ("batch_norm", "lrn", "layer_norm"),
    "activation": (
        *("relu", "relu6", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "silu", "gelu"),
    ),
    "joining": ("concat", "add", "multiply"),
    "regularisation": ("dropout", "stochastic_depth"),
    "arranging": (
        *("flatten", "slice", "select", "channel_shuffle", "pad_channels", "scale", "affine"),
    ),
}
_FAMILY = {op: family for family, ops in FAMILIES.items() for op in ops}
_SHORT = {"batch_norm": "batch norm", "lrn": "LRN", "max_pool": "max pool", "avg_pool": "avg pool"}


def family_of(child: Node | Block) -> str:
    """Return the family that a box is coloured by.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> [family_of(graph[name]) for name in ("conv1", "pool1", "inception3a")]
        ['convolution', 'pooling', 'block']
    """
    if isinstance(child, Node):
        return _FAMILY.get(child.op, "arranging")
    layer = _only_layer(child)
    return _FAMILY[layer.op] if layer else "block"


def describe(child: Node | Block) -> str:
    """Say what a box computes, in a few words.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> [describe(graph[name]) for name in ("conv1", "pool1", "inception3a")]
        ['conv 7x7 /2, relu', 'max pool 3x3 /2', 'inception, 163,696 parameters']
    """
    if isinstance(child, Node):
        return _describe(child)
    layer = _only_layer(child)
    if layer:
        others = [n for n in child.nodes if n is not layer and n.op != "batch_norm"]
        norm = ["BN"] if any(n.op == "batch_norm" for n in child.nodes) else []
        return ", ".join([_describe(layer), *norm, *(_words(n.op) for n in others)])
    name = child.name.rpartition(".")[2]
    kind = "" if child.kind == name else f"{child.kind}, "
    return f"{kind}{child.num_parameters:,} parameters"


def details(child: Node | Block) -> str:
    """Say everything that a tooltip has room for."""
    kind = child.kind if isinstance(child, Block) else _words(child.op)
    inside = f"{sum(1 for _ in child.nodes)} operations" if isinstance(child, Block) else ""
    facts = [
        f"{child.name} ({kind})",
        f"output {shown(child.shape)}",
        inside,
        f"{child.num_parameters:,} parameters" if child.num_parameters else "",
        f"{child.macs:,} MACs" if child.macs else "",
    ]
    return ", ".join(filter(None, facts))


def shown(shape: Shape) -> str:
    """Write a shape as papers do, height x width x channels.

    Example:
        >>> shown((64, 112, 112)), shown((1000,))
        ('112x112x64', '1000')
    """
    return "x".join(map(str, (*shape[1:], shape[0])))


def _only_layer(block: Block) -> Node | None:
    """The one layer of a short chain that has weights worth counting, if it is one."""
    nodes = list(block.nodes)
    layers = [node for node in nodes if node.op in ("conv", "linear")]
    chained = all(after.inputs == (before.name,) for before, after in pairwise(nodes))
    return layers[0] if len(layers) == 1 and chained and len(nodes) <= 4 else None


def _describe(node: Node) -> str:
    known: Mapping[str, Any] = node.attributes
    words = _words(node.op)
    groups = known.get("groups", 1)
    if node.op == "conv" and groups > 1:
        words = "depthwise conv" if groups == known["in_channels"] else "grouped conv"
    if "kernel_size" in known:
        words += f" {_sides(known['kernel_size'])}"
        if tuple(known["stride"]) != (1, 1):
            down, right = known["stride"]
            words += f" /{down}" if down == right else f" /{down}x{right}"
        if tuple(known.get("dilation", (1, 1))) != (1, 1):
            words += f", dilation {_sides(known['dilation'])}"
    if "rate" in known:
        words += f" {known['rate']:g}"
    if "factor" in known:
        words += f" by {known['factor']:g}"
    return words


def _words(op: str) -> str:
    return _SHORT.get(op, op.replace("_", " "))


def _sides(pair: tuple[int, int]) -> str:
    return f"{pair[0]}x{pair[1]}"
