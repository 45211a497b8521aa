"""Labels of folded blocks: their operations if they are few, otherwise a summary of their parts.

Labels give the facts that the tables of papers give: the number of repetitions, the kernel, and
whether there is squeeze-and-excitation. All of them come from the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import groupby, pairwise

from zoo.graphs.blocks import Block
from zoo.graphs.nodes import Node
from zoo.views.drawing.labels import family_of, label_of_operation
from zoo.views.shapes import value_text

#: Maximum number of characters in a line of a box.
LONGEST = 40
_SHORT_CHAIN = 4  # maximum number of operations that a label lists one by one
#: Attributes that the traits of a convolution need; a graph from a file may lack them.
_CONV_FIELDS = {"kernel_size", "stride", "groups", "in_channels"}
#: Families that accompany a main operation, as batch norm and activation accompany a convolution.
_COMPANIONS = ("normalization", "activation", "regularization")


def family_of_child(child: Node | Block) -> str:
    """Return the family of a box: that of its only main operation, or ``block``.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> [family_of_child(graph[name]) for name in ("conv1", "pool1", "inception3a")]
        ['convolution', 'pooling', 'block']
    """
    if isinstance(child, Node):
        return family_of(child.op)
    if not _is_short(child):
        return "block"
    main = _main_operations(child)
    return family_of(main[0].op) if len(main) == 1 else "block"


def label_of(child: Node | Block, branching: Set[str] = frozenset()) -> str:
    """Describe in a few words what a box computes.

    Args:
        child: The node or block in the box.
        branching: Kinds of blocks that are not described as chains, because some blocks of the
            kind branch.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> [label_of(graph[name]) for name in ("conv1", "pool1", "inception3a")]
        ['conv 7x7 /2, relu', 'max pool 3x3 /2', 'inception, 163,696 parameters']
        >>> label_of(zoo.graph("resnet50")["layer1"])
        '3 × bottleneck 3x3, relu'
    """
    if isinstance(child, Node):
        return label_of_operation(child)
    name = child.name.rpartition(".")[2]
    kind = "" if child.kind == name else f"{child.kind}, "
    parts = "" if child.kind in branching else _parts(child)
    # If the parts are too long, they may fit with "conv" only once.
    labels = [_operations(child), parts, parts.replace(", conv ", ", "), kind and _variant(child)]
    for label in labels:
        if label and len(label) <= LONGEST:
            return label
    count = child.num_parameters
    return f"{kind}{count:,} parameters" if count else child.kind


def branching_kinds(block: Block) -> set[str]:
    """Return the kinds of inner blocks of which some branch, such as those with a shortcut.

    Example:
        >>> import zoo
        >>> sorted(branching_kinds(zoo.graph("mobilenet_v2").root))
        ['bottleneck']
    """
    inner = [step.child for step in block.steps if isinstance(step.child, Block)]
    deeper = (branching_kinds(child) for child in inner)
    return {child.kind for child in inner if not child.is_chain}.union(*deeper)


def is_small(child: Node | Block) -> bool:
    """Return whether this is a short chain, such as convolution, batch norm and activation.

    Next to folded blocks, such a block is drawn as one box. If opened, it would show more detail
    than they do.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> is_small(graph["inception3a.branch1x1"]), is_small(graph["inception3a.branch_pool"])
        (True, False)
    """
    return (
        isinstance(child, Block)
        and all(isinstance(step.child, Node) for step in child.steps)
        and _is_short(child)
    )


def _is_short(block: Block) -> bool:
    """Return whether a block is a chain of few operations."""
    nodes = list(block.nodes)
    return len(nodes) <= _SHORT_CHAIN and all(
        after.inputs == (before.name,) for before, after in pairwise(nodes)
    )


def _main_operations(block: Block) -> list[Node]:
    """Return the operations that others accompany, or the first operation if there is none."""
    nodes = list(block.nodes)
    return [node for node in nodes if family_of(node.op) not in _COMPANIONS] or nodes[:1]


def _operations(block: Block) -> str:
    """List a block's operations, if they are few."""
    if not _is_short(block):
        return ""
    return ", ".join(
        "BN" if node.op == "batch_norm" else label_of_operation(node) for node in block.nodes
    )


def _parts(block: Block) -> str:
    """List and count the parts of a chain: ``2 × conv 3x3, max pool 2x2 /2``."""
    if not block.is_chain:
        return ""
    children = [step.child for step in block.steps]
    parts = [child for child in children if family_of_child(child) not in _COMPANIONS]
    labels = []
    for label, group in groupby(parts, key=_part):
        run = list(group)
        label = _shared_label(run) or label
        labels.append(f"{len(run)} × {label}" if len(run) > 1 else label)
    return ", ".join(labels)


def _part(child: Node | Block) -> str:
    """Return the label of a part of a chain: its main operation, or its kind."""
    if isinstance(child, Node):
        return label_of_operation(child)
    if family_of_child(child) != "block":
        return label_of_operation(_main_operations(child)[0])
    return child.kind


def _shared_label(run: Sequence[Node | Block]) -> str:
    """Return the label that all blocks of a run have in common; empty for a run of operations."""
    blocks = [child for child in run if isinstance(child, Block)]
    if not blocks or family_of_child(run[0]) != "block":
        return ""
    traits = [list(_traits(block)) for block in blocks]
    common = [trait for trait in traits[0] if all(trait in of_block for of_block in traits)]
    return "".join([_part(run[0]), *common])


def _variant(block: Block) -> str:
    """Return a block's kind and traits; empty if it has no traits."""
    traits = list(_traits(block))
    return "".join([block.kind, *traits]) if traits else ""


def _traits(block: Block) -> Iterator[str]:
    """Yield the properties in a block's label: kernel and stride, groups, SE, activation.

    Each is a continuation of the label: `` 3x3``, `` /2``, ``, SE``. A block whose branches have
    several kernels, or that joins more than two branches, has no traits.
    """
    nodes = list(block.nodes)
    convs = [n for n in nodes if n.op == "conv" and not _CONV_FIELDS - n.attributes.keys()]
    windows = [node for node in convs if node.attributes["kernel_size"] != (1, 1)]
    kernels = {tuple(node.attributes["kernel_size"]) for node in windows}
    if len(kernels) != 1 or any(n.op == "concat" and len(n.inputs) > 2 for n in nodes):
        return
    yield f" {value_text(kernels.pop())}"
    strides = {max(node.attributes["stride"]) for node in convs}
    if max(strides) > 1:
        yield f" /{max(strides)}"
    groups = {n.attributes["groups"] for n in windows if n.attributes["groups"] > 1}
    if len(groups) == 1 and not any(n.attributes["in_channels"] in groups for n in windows):
        yield f", {groups.pop()} groups"
    if any(node.op == "multiply" for node in nodes):
        yield ", SE"
    activations = [n.op for n in nodes if family_of(n.op) == "activation"]
    if activations:
        yield f", {activations[0].replace('_', ' ')}"  # the first one; an SE gate's comes later
