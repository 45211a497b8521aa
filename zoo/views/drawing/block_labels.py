"""Captions of folded blocks.

Blocks of one kind have captions of one form, the first of these that all of them can have:

1. A chain with at most one convolution, linear layer or pool lists all its operations:
   ``conv 3x3, BN, relu``.
2. Any other chain lists its main operations and inner blocks: ``2 × conv 3x3, max pool 2x2 /2``.
3. Otherwise the caption is the kind, with facts that the tables of papers give, such as the kernel
   and whether there is squeeze-and-excitation: ``mbconv 5x5 /2, SE, silu``.
4. What has more than two kernels, or joins more than two branches, has too many such facts. Its
   number of parameters is given: ``inception, 163,696 parameters``.

All of it comes from the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise

from zoo.graphs.blocks import Block
from zoo.graphs.nodes import Node
from zoo.views.drawing.labels import family_of, label_of_operation
from zoo.views.shapes import value_text

#: Maximum number of characters in a line of a box.
LONGEST = 40
_SHORT_CHAIN = 4  # maximum number of operations in a block that is drawn as one box
#: Attributes that the traits of a convolution need; a graph from a file may lack them.
_CONV_FIELDS = {"kernel_size", "stride", "groups", "in_channels"}
#: Families that accompany a main operation, as batch norm and activation accompany a convolution.
_COMPANIONS = ("normalization", "activation", "regularization")
#: Families of which a chain that lists all its operations has at most one.
_LAYERS = ("convolution", "dense", "pooling")
_MOST_KERNELS = 2


class Captions:
    """Describes what boxes compute.

    Args:
        networks: The networks whose blocks are described alike.

    Example:
        >>> import zoo
        >>> graph = zoo.graph("googlenet")
        >>> captions = Captions(graph.root)
        >>> [captions.label(graph[name]) for name in ("conv1", "conv2", "inception3a")]
        ['conv 7x7 /2, relu', 'conv 1x1, conv 3x3', 'inception, 163,696 parameters']
        >>> [captions.family(graph[name]) for name in ("conv1", "pool1", "inception3a")]
        ['convolution', 'pooling', 'block']
    """

    def __init__(self, *networks: Block) -> None:
        self._blocks: dict[str, list[Block]] = {}
        for network in networks:
            for child in network.descendants:
                if isinstance(child, Block):
                    self._blocks.setdefault(child.kind, []).append(child)
        # A block without a shortcut is a chain, but others of its kind may not be.
        self._branching = {
            kind for kind, blocks in self._blocks.items() if not all(b.is_chain for b in blocks)
        }
        self._forms: dict[str, Callable[[Block], str]] = {}

    def label(self, child: Node | Block) -> str:
        """Describe in a few words what a box computes."""
        if isinstance(child, Node):
            return label_of_operation(child)
        if child.kind not in self._forms:
            self._forms[child.kind] = self._form(self._blocks[child.kind])
        return self._forms[child.kind](child)

    def family(self, child: Node | Block) -> str:
        """Return the family of a box: that of its only main operation, or ``block``."""
        if isinstance(child, Node):
            return family_of(child.op)
        main = self._only(child)
        return family_of(main.op) if main else "block"

    def _form(self, blocks: Sequence[Block]) -> Callable[[Block], str]:
        """Return the first form of captions that blocks of a kind can have."""
        for form in (self._operations, self._parts, self._short_parts, _variant):
            if all(0 < len(form(block)) <= LONGEST for block in blocks):
                return form
        return _count

    def _only(self, block: Block) -> Node | None:
        """Return the main operation of a chain, if there is one alone."""
        main = _main_operations(block)
        return main[0] if len(main) == 1 and self._is_row(block) else None

    def _is_row(self, block: Block) -> bool:
        """Return whether this is a row of operations, as are all blocks of these kinds."""
        inner = (child for child in block.descendants if isinstance(child, Block))
        return _is_row(block) and not any(b.kind in self._branching for b in (block, *inner))

    def _operations(self, block: Block) -> str:
        """List all operations of a chain that has few layers: ``conv 3x3, BN, relu``."""
        layers = [node for node in block.nodes if family_of(node.op) in _LAYERS]
        if len(layers) > 1 or not self._is_row(block):
            return ""
        return ", ".join(
            "BN" if node.op == "batch_norm" else label_of_operation(node) for node in block.nodes
        )

    def _parts(self, block: Block) -> str:
        """List and count the parts of a chain: ``2 × conv 3x3, max pool 2x2 /2``."""
        return ", ".join(self._listed(block))

    def _short_parts(self, block: Block) -> str:
        """List them in fewer words: of convolutions in a row, only the first says ``conv``."""
        parts = [part.replace("depthwise conv", "depthwise") for part in self._listed(block)]
        again = [False, *(all(p.startswith("conv ") for p in pair) for pair in pairwise(parts))]
        return ", ".join(
            part.removeprefix("conv ") if follows else part
            for part, follows in zip(parts, again, strict=False)
        )

    def _listed(self, block: Block) -> list[str]:
        if block.kind in self._branching:
            return []
        children = [step.child for step in block.steps]
        parts = [child for child in children if self.family(child) not in _COMPANIONS]
        labels = []
        for label, group in groupby(parts, key=self._part):
            run = list(group)
            label = self._shared_label(run) or label
            labels.append(f"{len(run)} × {label}" if len(run) > 1 else label)
        return labels

    def _part(self, child: Node | Block) -> str:
        """Return the label of a part of a chain: its main operation, or its kind."""
        if isinstance(child, Node):
            return label_of_operation(child)
        main = self._only(child)
        return label_of_operation(main) if main else child.kind

    def _shared_label(self, run: Sequence[Node | Block]) -> str:
        """Return the label that all blocks of a run have in common; empty for operations."""
        blocks = [child for child in run if isinstance(child, Block)]
        if not blocks or self._only(blocks[0]):
            return ""
        traits = [list(_traits(block)) for block in blocks]
        common = [trait for trait in traits[0] if all(trait in of_block for of_block in traits)]
        return "".join([blocks[0].kind, *common])


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
    return len(list(block.nodes)) <= _SHORT_CHAIN and _is_row(block)


def _is_row(block: Block) -> bool:
    """Return whether each operation of a block reads the one before it."""
    return all(after.inputs == (before.name,) for before, after in pairwise(block.nodes))


def _main_operations(block: Block) -> list[Node]:
    """Return the operations that others accompany, or the first operation if there is none."""
    nodes = list(block.nodes)
    return [node for node in nodes if family_of(node.op) not in _COMPANIONS] or nodes[:1]


def _count(block: Block) -> str:
    """Return a block's kind, unless its name says it, and its number of parameters."""
    count = block.num_parameters
    return f"{_kind(block, ', ')}{count:,} parameters" if count else block.kind


def _variant(block: Block) -> str:
    """Return a block's kind, unless its name says it, and traits; empty if it has no traits."""
    traits = "".join(_traits(block))
    return f"{_kind(block)}{traits}".strip() if traits else ""


def _kind(block: Block, end: str = "") -> str:
    return "" if block.kind == block.name.rpartition(".")[2] else f"{block.kind}{end}"


def _traits(block: Block) -> Iterator[str]:
    """Yield the properties in a block's label: kernels and stride, groups, SE, activation.

    Each is a continuation of the label: `` 3x3``, `` /2``, ``, SE``. A block without kernels, or
    with too many of them, or that joins more than two branches, has no traits.
    """
    nodes = list(block.nodes)
    convs = [n for n in nodes if n.op == "conv" and not _CONV_FIELDS - n.attributes.keys()]
    windows = [node for node in convs if node.attributes["kernel_size"] != (1, 1)]
    strides: dict[tuple[int, int], int] = {}
    for node in windows:
        kernel = tuple(node.attributes["kernel_size"])
        strides[kernel] = max(strides.get(kernel, 1), *node.attributes["stride"])
    joins_many = any(n.op == "concat" and len(n.inputs) > 2 for n in nodes)
    if not 0 < len(strides) <= _MOST_KERNELS or joins_many:
        return
    if max(strides.values()) == 1:  # if at all, a convolution of 1x1 has the stride
        strides[next(iter(strides))] = max(max(node.attributes["stride"]) for node in convs)
    for i, (kernel, stride) in enumerate(strides.items()):
        yield f"{',' if i else ''} {value_text(kernel)}"
        if stride > 1:
            yield f" /{stride}"
    groups = {n.attributes["groups"] for n in windows if n.attributes["groups"] > 1}
    if len(groups) == 1 and not any(n.attributes["in_channels"] in groups for n in windows):
        yield f", {groups.pop()} groups"
    if any(node.op == "multiply" for node in nodes):
        yield ", SE"
    activations = [n.op for n in nodes if family_of(n.op) == "activation"]
    if activations:
        yield f", {activations[0].replace('_', ' ')}"  # the first one; an SE gate's comes later
