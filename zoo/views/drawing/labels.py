"""Labels and tooltips of operations, and the families that determine their colors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo import ops
from zoo.graphs.blocks import Block
from zoo.graphs.nodes import Node
from zoo.views.shapes import height_width_channels, value_text

#: Families of operations, in the order of the legend. A ``block`` is folded and contains more than
#: one main operation.
FAMILIES = (
    "input and output",
    "block",
    "convolution",
    "dense",
    "pooling",
    "normalization",
    "activation",
    "joining",
    "regularization",
    "arranging",
)
_SHORT = {"batch_norm": "batch norm", "lrn": "LRN", "max_pool": "max pool", "avg_pool": "avg pool"}


def family_of(op: str) -> str:
    """Return the family of an operation; ``arranging`` if it is unknown.

    Example:
        >>> family_of("conv"), family_of("relu")
        ('convolution', 'activation')
    """
    operation = ops.OPS.get(op)
    return operation.family if operation else "arranging"


def tooltip(child: Node | Block) -> str:
    """Return the text of a tooltip: name, output shape, operations, parameters and MACs."""
    kind = child.kind if isinstance(child, Block) else _name(child.op)
    inside = f"{sum(1 for _ in child.nodes)} operations" if isinstance(child, Block) else ""
    parameters, macs = child.num_parameters, child.macs
    facts = [
        f"{child.name} ({kind})",
        f"output {height_width_channels(child.shape)}",
        inside,
        f"{parameters:,} parameters" if parameters else "",
        f"{macs:,} MACs" if macs else "",
    ]
    return ", ".join(filter(None, facts))


def label_of_operation(node: Node) -> str:
    """Describe in a few words what an operation computes.

    Example:
        >>> import zoo
        >>> label_of_operation(zoo.graph("googlenet")["conv1.conv"])
        'conv 7x7 /2'
    """
    attributes: Mapping[str, Any] = node.attributes
    label = _name(node.op)
    groups = attributes.get("groups", 1)
    depthwise = node.op == "conv" and 1 < groups == attributes.get("in_channels")
    if depthwise:
        label = "depthwise conv"
    if "kernel_size" in attributes:
        label += f" {value_text(tuple(attributes['kernel_size']))}"
        down, right = attributes.get("stride", (1, 1))
        if (down, right) != (1, 1):
            label += f" /{down}" if down == right else f" /{down}x{right}"
        if tuple(attributes.get("dilation", (1, 1))) != (1, 1):
            label += f", dilation {value_text(tuple(attributes['dilation']))}"
    if node.op == "conv" and groups > 1 and not depthwise:
        label += f", {groups} groups"
    if "rate" in attributes:
        label += f" {attributes['rate']:g}"
    if "factor" in attributes:
        label += f" by {attributes['factor']:g}"
    return label


def _name(op: str) -> str:
    return _SHORT.get(op, op.replace("_", " "))
