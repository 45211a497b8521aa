"""What changes from one network to another, node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo import ops
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape

#: Attributes that follow from others, which say it better.
_DERIVED = frozenset({"symmetric", "counts", "windows", "layout", "num_features"})
_CHANNELS = frozenset({"out_channels", "out_features"})


@dataclass(frozen=True)
class Change:
    """What is different about one node.

    Attributes:
        name: Path name.
        kind: ``added``, ``removed``, ``changed``, or ``follows``: only its shapes or its numbers
            are different, because of another node.
        op: The operation; ``old -> new`` if it is another one.
        fields: Attribute -> its old and new values.
        reads: Old and new inputs, where they are not the same nodes.
        shape: Old and new output, height x width x channels; None where there is no such node.
        input: The same of what it reads, the first of several.
        parameters: Old and new number of trainable values.
        macs: Old and new multiply-accumulates of one example.
    """

    name: str
    kind: str
    op: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    reads: tuple[Sequence[str], Sequence[str]] | None = None
    shape: tuple[str | None, str | None] = (None, None)
    input: tuple[str | None, str | None] = (None, None)
    parameters: tuple[int, int] = (0, 0)
    macs: tuple[int, int] = (0, 0)

    @property
    def words(self) -> str:
        """The change in words."""
        return self.said()

    def said(self, channels: bool = True) -> str:
        """Say the change in words, that of a new node without how many channels it has if asked."""
        if self.kind == "added":
            told = [
                f"{key} {_text(new)}"
                for key, (_, new) in self.fields.items()
                if not _goes_without_saying(self.op, key, new)
                and (channels or key not in _CHANNELS)
            ]
            return f"added: {', '.join(told)}" if told else "added"
        if self.kind == "removed":
            return "removed"
        said = [f"{key} {_text(old)} → {_text(new)}" for key, (old, new) in self.fields.items()]
        if self.reads:
            said.append(f"reads {_text(self.reads[0])} → {_text(self.reads[1])}")
        if self.kind == "follows":
            old, new = self.shape if self.shape[0] != self.shape[1] else self.input
            said.append(
                f"{old} → {new}" if self.shape[0] != self.shape[1] else f"reads {old} → {new}"
            )
        return ", ".join(said)


def changes(old: Graph, new: Graph) -> Iterator[Change]:
    """Yield what is different about each node that is, in the order of the networks."""
    before = {node.name: node for node in old.nodes}
    after = {node.name: node for node in new.nodes}
    for name in _merged(list(before), list(after)):
        a, b = before.get(name), after.get(name)
        if a is None or b is None:
            kind = "added" if a is None else "removed"
            attributes = a.attributes if a else b.attributes if b else {}
            fields = {
                key: (value, None) if b is None else (None, value)
                for key, value in attributes.items()
                if key not in _DERIVED
            }
            change = _change(name, kind, a, b, fields, None)
        else:
            fields = {
                key: (a.attributes.get(key), b.attributes.get(key))
                for key in {**a.attributes, **b.attributes}
                if key not in _DERIVED and a.attributes.get(key) != b.attributes.get(key)
            }
            if a.op == b.op:  # the channels that come in are another node's doing
                own = {k: v for k, v in fields.items() if not k.startswith("in_")}
            else:
                own = fields = {}
            moved = _sources(a, before, after) != _sources(b, after, before)
            different = bool(own) or a.op != b.op or moved
            if not different and (a.shape, a.parameters, a.macs) == (b.shape, b.parameters, b.macs):
                continue
            kind = "changed" if different else "follows"
            change = _change(name, kind, a, b, own, (a.inputs, b.inputs) if moved else None)
        yield change


def _change(
    name: str,
    kind: str,
    a: Node | None,
    b: Node | None,
    fields: Mapping[str, tuple[Any, Any]],
    reads: tuple[Sequence[str], Sequence[str]] | None,
) -> Change:
    return Change(
        name,
        kind,
        " → ".join(dict.fromkeys(node.op for node in (a, b) if node)),
        fields,
        reads,
        (_output(a), _output(b)),
        (_input(a), _input(b)),
        (a.num_parameters if a else 0, b.num_parameters if b else 0),
        (a.macs if a else 0, b.macs if b else 0),
    )


def _sources(node: Node, own: Mapping[str, Node], other: Mapping[str, Node]) -> list[str]:
    """The nearest nodes before one that both networks have."""
    sources = []
    for name in node.inputs:
        while name in own and name not in other and len(own[name].inputs) == 1:
            (name,) = own[name].inputs
        sources.append(name)
    return sources


def _merged(old: list[str], new: list[str]) -> list[str]:
    """Both lists' names, each once, in an order that follows both as far as they agree."""
    merged, at, common = [], 0, set(old) & set(new)
    for name in new:
        if name in common:
            while at < len(old) and old[at] != name:
                if old[at] not in common:
                    merged.append(old[at])
                at += 1
            at += 1
        merged.append(name)
    seen = set(merged)
    return merged + [name for name in old if name not in seen]


def _output(node: Node | None) -> str | None:
    return None if node is None else _size(node.shape)


def _input(node: Node | None) -> str | None:
    return None if node is None else _size(node.input_shapes[0])


def _size(shape: Shape) -> str:
    return _text((*shape[1:], shape[0]))


def _goes_without_saying(op: str, key: str, value: Any) -> bool:
    """Whether an attribute is what the operation has if nothing is said, or follows from others."""
    known = ops.OPS[op].fields.get(key)
    if known is None or key.startswith("in_"):
        return True
    values = set(value) if isinstance(value, tuple) else {value}
    return not known.required and values == {known.default}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and len(set(value)) == 1 and len(value) > 2:
        return str(value[0])  # padding of one number
    if isinstance(value, tuple) and len(value) == 4:
        return str(list(value))  # padding: top, bottom, left, right
    if isinstance(value, tuple | list):
        return ("x" if all(isinstance(v, int) for v in value) else ", ").join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
