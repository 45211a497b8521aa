"""What a folded block says: its operations if they are few, or else what it is made of.

A reader of a folded picture asks what the papers' tables tell: how often something is repeated,
with which kernel, whether with squeeze-and-excite. All of it is read off the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import groupby, pairwise

from zoo.graphs.blocks import Block
from zoo.graphs.nodes import Node
from zoo.views.drawing.words import describe as describe_operation
from zoo.views.drawing.words import family_of as family_of_operation
from zoo.views.drawing.words import sides

#: Letters that a box has room for.
LONGEST = 40
_CHAIN = 4  # operations that a box tells one by one
#: Families that stand by others: of a convolution, its normalisation and its activation.
_BESIDE = ("normalisation", "activation", "regularisation")


def family_of(child: Node | Block) -> str:
    """Return the family that a box is coloured by: that of its one main operation, if it is one.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> [family_of(graph[name]) for name in ("conv1", "pool1", "inception3a")]
        ['convolution', 'pooling', 'block']
    """
    if isinstance(child, Node):
        return family_of_operation(child)
    main = _mains(child)
    return family_of_operation(main[0]) if _is_short(child) and len(main) == 1 else "block"


def describe(child: Node | Block, branching: Set[str] = frozenset()) -> str:
    """Say what a box computes, in a few words.

    Args:
        child: What is in the box.
        branching: Kinds of blocks that are not told as chains, as others of their kind are none.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> [describe(graph[name]) for name in ("conv1", "pool1", "inception3a")]
        ['conv 7x7 /2, relu', 'max pool 3x3 /2', 'inception, 163,696 parameters']
        >>> describe(zoo.graph("resnet50")["layer1"])
        '3 × bottleneck 3x3, relu'
    """
    if isinstance(child, Node):
        return describe_operation(child)
    name = child.name.rpartition(".")[2]
    named = "" if child.kind == name else f"{child.kind}, "
    parts = "" if child.kind in branching else _parts(child)
    # Too long as they are, parts may fit without saying "conv" again and again.
    words = [_operations(child), parts, parts.replace(", conv ", ", "), named and _instance(child)]
    count = child.num_parameters
    counted = f"{named}{count:,} parameters" if count else child.kind
    return next((text for text in words if text and len(text) <= LONGEST), counted)


def branching(block: Block) -> set[str]:
    """The kinds of blocks inside of which some, as those with a shortcut, are no chains.

    Example:
        >>> import zoo
        >>> sorted(branching(zoo.graph("mobilenet_v2").root))
        ['bottleneck']
    """
    inner = [step.child for step in block.steps if isinstance(step.child, Block)]
    deeper = (branching(child) for child in inner)
    return {child.kind for child in inner if not child.is_chain}.union(*deeper)


def is_small(child: Node | Block) -> bool:
    """Whether a block is a short chain of operations, such as convolution, norm and activation.

    Such a block is drawn as one box beside others that are folded: opened, it would show more
    detail than they do.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> is_small(graph["inception3a.branch1x1"]), is_small(graph["inception3a.branch_pool"])
        (True, False)
    """
    return (
        isinstance(child, Block)
        and _is_short(child)
        and all(isinstance(step.child, Node) for step in child.steps)
    )


def _is_short(block: Block) -> bool:
    """Whether it is a chain of few operations."""
    nodes = list(block.nodes)
    chained = all(after.inputs == (before.name,) for before, after in pairwise(nodes))
    return chained and len(nodes) <= _CHAIN


def _mains(block: Block) -> list[Node]:
    """The operations that others stand by; the first if none is such."""
    nodes = list(block.nodes)
    return [node for node in nodes if family_of_operation(node) not in _BESIDE] or nodes[:1]


def _operations(block: Block) -> str:
    """Its operations one after another, if they are few."""
    if not _is_short(block):
        return ""
    return ", ".join(
        "BN" if node.op == "batch_norm" else describe_operation(node) for node in block.nodes
    )


def _parts(block: Block) -> str:
    """What it is a chain of, equal parts counted, such as ``2 × conv 3x3, max pool 2x2 /2``."""
    if not block.is_chain:
        return ""
    children = [step.child for step in block.steps]
    parts = [child for child in children if family_of(child) not in _BESIDE]
    runs = [list(run) for _, run in groupby(parts, key=_part)]
    told = [(_shared(run) if isinstance(run[0], Block) else "") or _part(run[0]) for run in runs]
    return ", ".join(
        f"{len(run)} × {words}" if len(run) > 1 else words
        for run, words in zip(runs, told, strict=True)
    )


def _part(child: Node | Block) -> str:
    """What a part of a chain is told as: its main operation, or its kind."""
    if isinstance(child, Node) or family_of(child) != "block":
        return describe_operation(child if isinstance(child, Node) else _mains(child)[0])
    return child.kind


def _shared(run: Sequence[Node | Block]) -> str:
    """The words that all of a run would be told in by themselves; nothing if they are layers."""
    if family_of(run[0]) != "block":
        return ""
    told = [list(_facts(child)) for child in run if isinstance(child, Block)]
    common = [fact for fact in told[0] if all(fact in facts for facts in told)]
    return "".join([_part(run[0]), *common])


def _instance(block: Block) -> str:
    """What tells it from others of its kind; nothing where that is not one kernel."""
    facts = list(_facts(block))
    return "".join([block.kind, *facts]) if facts else ""


def _facts(block: Block) -> Iterator[str]:
    """Its kernel and stride, squeeze-and-excite, and activation, where it has one kernel.

    Each as it continues what is said: `` 3x3``, `` /2``, ``, SE``.
    A block of branches with several kernels, or that joins more than two, is not told by one.
    """
    nodes = list(block.nodes)
    windows = [n for n in nodes if n.op == "conv" and n.attributes["kernel_size"] != (1, 1)]
    kernels = {tuple(node.attributes["kernel_size"]) for node in windows}
    if len(kernels) != 1 or any(n.op == "concat" and len(n.inputs) > 2 for n in nodes):
        return
    yield f" {sides(kernels.pop())}"
    strides = {max(n.attributes["stride"]) for n in nodes if n.op == "conv"}
    if max(strides) > 1:
        yield f" /{max(strides)}"
    groups = {n.attributes["groups"] for n in windows if n.attributes["groups"] > 1}
    if len(groups) == 1 and not any(n.attributes["in_channels"] in groups for n in windows):
        yield f", {groups.pop()} groups"
    if any(node.op == "multiply" for node in nodes):
        yield ", SE"
    activations = [n.op for n in nodes if family_of_operation(n) == "activation"]
    if activations:
        yield f", {activations[0].replace('_', ' ')}"  # those of a gate come later
