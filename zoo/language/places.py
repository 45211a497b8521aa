"""Where the layers of a model stand in the text of its spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from zoo.graphs.graph import Graph
from zoo.language.document import parse
from zoo.language.graphs import traced


@dataclass(frozen=True)
class Span:
    """A part of a text that belongs to a layer of a spec.

    Attributes:
        start: Where it starts, in characters.
        end: Where it ends.
        name: The place of the layer: the name of its block, a slash, and its own name; those of
            groups precede it, each with a dot. Layers of the network itself have no block.
    """

    start: int
    end: int
    name: str


def spans(texts: Sequence[str], model: str) -> list[list[Span]]:
    """Find the layers of a model in the files of its spec.

    Args:
        texts: A valid spec, and the files that it extends or takes blocks from.
        model: One of its models; layers that other models change are not its own.

    Returns:
        For each file the parts, outer ones before those within them.

    Example:
        >>> text = "layers: {conv: {op: conv}}"
        >>> [(span.name, text[span.start : span.end]) for span in spans([text], "tiny")[0]]
        [('/conv', 'conv: {op: conv}')]
    """
    for text in texts:
        parse(text)  # refuses what is not a spec's YAML, and bounds its size
    roots = [yaml.compose(text, Loader=yaml.SafeLoader) for text in texts]
    found: list[set[Span]] = [set() for _ in texts]
    for number, (root, text) in enumerate(zip(roots, texts, strict=True)):
        if number == 0 or _child(roots[number - 1], "extends") is not None:
            found[number] |= set(_layers(_child(root, "layers"), "/", text))
        found[number] |= set(_of_blocks(root, text))
    name: str | None = model
    seen = set()
    while name is not None and name not in seen:
        seen.add(name)
        base = None
        for number, (root, text) in enumerate(zip(roots, texts, strict=True)):
            if (variant := _variant(_child(root, "models"), name)) is not None:
                found[number] |= set(_layers(_child(variant, "layers"), "/", text))
                found[number] |= set(_of_blocks(variant, text))
                base = _base(variant, name)
                break
        name = base
    return [sorted(each, key=lambda span: (span.start, -span.end)) for each in found]


def places(graph: Graph) -> dict[str, list[str]]:
    """Return where each node and block of a network comes from in its spec.

    Returns:
        Path name -> the places of the uses and layers that lead to it, as in :class:`Span`; the
        last one is its own.

    Example:
        >>> import zoo
        >>> places(zoo.graph("vgg16"))["stage1.conv2.conv"]
        ['/stage', 'stage/conv', 'conv/conv']
    """
    _, trace = traced(graph)
    found: dict[str, list[str]] = {"": []}
    inner: dict[str, str] = {"": "/"}  # what precedes the names of the layers within
    names = [node.name for node in graph.nodes]
    for path in dict.fromkeys(prefix for name in names for prefix in _prefixes(name)):
        parent, _, own = path.rpartition(".")
        place = inner[parent] + trace.repeated.get(path, own)
        found[path] = [*found[parent], place]
        inner[path] = f"{trace.uses[path][0]}/" if path in trace.uses else f"{place}."
    del found[""]
    return found


def _variant(models: yaml.Node | None, name: str) -> yaml.Node | None:
    """Return what describes a model: its entry, or that of the table that it is a row of."""
    entries: list[yaml.Node] = []
    if isinstance(models, yaml.MappingNode):
        entries = [entry for _, entry in models.value]
    tables = (entry for entry in entries if _child(_child(entry, "rows"), name) is not None)
    return next(tables, _child(models, name))


def _base(variant: yaml.Node, name: str) -> str | None:
    """Return the name of the model that a model is based on."""
    base = _child(variant, "base")
    columns, row = _child(variant, "columns"), _child(_child(variant, "rows"), name)
    if isinstance(columns, yaml.SequenceNode) and isinstance(row, yaml.SequenceNode):
        for column, cell in zip(columns.value, row.value, strict=True):
            base = cell if column.value == "base" and not cell.tag.endswith(":null") else base
    return None if base is None else str(base.value)


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


def _of_blocks(node: yaml.Node | None, text: str) -> Iterator[Span]:
    """Yield the layers of the blocks of a network, or of the changes that a model makes to them."""
    blocks = _child(node, "blocks")
    for key, block in blocks.value if isinstance(blocks, yaml.MappingNode) else ():
        yield from _layers(_child(block, "layers"), f"{key.value}/", text)


def _layers(layers: yaml.Node | None, place: str, text: str) -> Iterator[Span]:
    for key, value in layers.value if isinstance(layers, yaml.MappingNode) else ():
        end = max(key.end_mark.index, value.end_mark.index)
        written = _without_comments(text[key.start_mark.index : end])
        name = place + str(key.value)
        yield Span(key.start_mark.index, key.start_mark.index + len(written), name)
        yield from _layers(_child(value, "layers"), f"{name}.", text)


def _without_comments(text: str) -> str:
    """Return a text without the comments and blank lines that follow it."""
    lines = text.rstrip().split("\n")
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return "\n".join(lines).rstrip()


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)
