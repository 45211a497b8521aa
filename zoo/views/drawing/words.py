"""What an operation is called in a lecture, and the family its colour shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.graphs.blocks import Block
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape

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


def family_of(node: Node) -> str:
    """Return the family that an operation's box is coloured by."""
    return _FAMILY.get(node.op, "arranging")


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


def describe(node: Node) -> str:
    """Say what an operation computes, in a few words.

    Example:
        >>> import zoo
        >>> describe(zoo.graph("googlenet")["conv1.conv"])
        'conv 7x7 /2'
    """
    known: Mapping[str, Any] = node.attributes
    words = _words(node.op)
    groups = known.get("groups", 1)
    depthwise = node.op == "conv" and 1 < groups == known["in_channels"]
    if depthwise:
        words = "depthwise conv"
    if "kernel_size" in known:
        words += f" {sides(known['kernel_size'])}"
        if tuple(known["stride"]) != (1, 1):
            down, right = known["stride"]
            words += f" /{down}" if down == right else f" /{down}x{right}"
        if tuple(known.get("dilation", (1, 1))) != (1, 1):
            words += f", dilation {sides(known['dilation'])}"
    if node.op == "conv" and groups > 1 and not depthwise:
        words += f", {groups} groups"
    if "rate" in known:
        words += f" {known['rate']:g}"
    if "factor" in known:
        words += f" by {known['factor']:g}"
    return words


def _words(op: str) -> str:
    return _SHORT.get(op, op.replace("_", " "))


def sides(pair: tuple[int, int]) -> str:
    """Write a window, height x width."""
    return f"{pair[0]}x{pair[1]}"
