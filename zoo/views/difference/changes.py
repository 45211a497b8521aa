"""How each node changes from one network to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo import ops
from zoo.graphs.frozen import freeze
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.views.shapes import height_width_channels, value_text

#: Attributes that follow from others, which are easier to read.
_DERIVED = frozenset({"symmetric", "stated", "rounding", "layout", "num_features"})
_CHANNELS = frozenset({"out_channels", "out_features"})


@dataclass(frozen=True)
class Change:
    """How one node differs.

    Attributes:
        name: Path name.
        kind: ``added``, ``removed``, ``changed``, or ``follows`` if only its shapes or counts
            differ, because of a change to another node.
        op: The operation; ``old → new`` if it was replaced.
        fields: Attribute -> its old and new value.
        reads: Old and new inputs, if they are not the same nodes.
        shape: Old and new output shape, height x width x channels; None if there is no node.
        input: Old and new shape of the input, or of the first of several.
        parameters: Old and new number of trainable values.
        macs: Old and new number of multiply-accumulates for one example.
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
        return self.describe()

    def describe(self, channels: bool = True) -> str:
        """Describe the change in words.

        Args:
            channels: Whether a new node is described with its number of channels.
        """
        if self.kind == "added":
            attributes = [
                f"{key} {value_text(new)}"
                for key, (_, new) in self.fields.items()
                if not _is_default(self.op, key, new) and (channels or key not in _CHANNELS)
            ]
            return f"added: {', '.join(attributes)}" if attributes else "added"
        if self.kind == "removed":
            return "removed"
        parts = [
            f"{key} {value_text(old)} → {value_text(new)}"
            for key, (old, new) in self.fields.items()
        ]
        if self.reads:
            parts.append(f"reads {value_text(self.reads[0])} → {value_text(self.reads[1])}")
        if self.kind == "follows":
            if self.shape[0] != self.shape[1]:
                parts.append(f"{self.shape[0]} → {self.shape[1]}")
            else:
                parts.append(f"reads {self.input[0]} → {self.input[1]}")
        return ", ".join(parts)


def changes(old: Graph, new: Graph) -> Iterator[Change]:
    """Compare two networks.

    Args:
        old: The old network.
        new: The new network.

    Yields:
        A change for each node that differs, in the order of the networks.
    """
    old_nodes = {node.name: node for node in old.nodes}
    new_nodes = {node.name: node for node in new.nodes}
    for name in _merged(list(old_nodes), list(new_nodes)):
        before, after = old_nodes.get(name), new_nodes.get(name)
        if before is None or after is None:
            yield _added_or_removed(name, before, after)
            continue
        fields = _changed_fields(before, after)
        rewired = _sources(before, old_nodes, new_nodes) != _sources(after, new_nodes, old_nodes)
        if fields or before.op != after.op or rewired:
            reads = (before.inputs, after.inputs) if rewired else None
            yield _change(name, "changed", before, after, fields, reads)
        elif _results(before) != _results(after):
            yield _change(name, "follows", before, after, {}, None)


def _added_or_removed(name: str, before: Node | None, after: Node | None) -> Change:
    node = after or before
    assert node
    fields = {
        key: (None, value) if after else (value, None) for key, value in settings(node).items()
    }
    return _change(name, "added" if after else "removed", before, after, fields, None)


def _changed_fields(before: Node, after: Node) -> dict[str, tuple[Any, Any]]:
    """Return the attributes that differ, except those that follow from other nodes."""
    if before.op != after.op:
        return {}
    old, new = settings(before), settings(after)
    if "counted_padding" in {**old, **new}:
        for one in (old, new):
            one.setdefault("counted_padding", one["padding"])
    return {
        key: (old.get(key), new.get(key))
        for key in {**old, **new}
        if not key.startswith("in_") and old.get(key) != new.get(key)
    }


def settings(node: Node) -> dict[str, Any]:
    """Return a node's attributes, without those that follow from others.

    Example:
        >>> import zoo
        >>> settings(zoo.graph("googlenet")["pool1"])
        {'kernel_size': (3, 3), 'stride': (2, 2), 'padding': (0, 1, 0, 1)}
    """
    shown = {key: value for key, value in node.attributes.items() if key not in _DERIVED}
    counted = shown.pop("counted", None)  # by an average pool; None if all of its padding is
    if counted is not None and any(shown["padding"]):
        shown["counted_padding"] = counted
    return shown


def _results(node: Node) -> tuple[Any, ...]:
    return node.shape, node.parameters, node.macs


def _change(
    name: str,
    kind: str,
    before: Node | None,
    after: Node | None,
    fields: Mapping[str, tuple[Any, Any]],
    reads: tuple[Sequence[str], Sequence[str]] | None,
) -> Change:
    return Change(
        name=name,
        kind=kind,
        op=" → ".join(dict.fromkeys(node.op for node in (before, after) if node)),
        fields=freeze(fields),
        reads=reads,
        shape=(_output(before), _output(after)),
        input=(_input(before), _input(after)),
        parameters=(before.num_parameters if before else 0, after.num_parameters if after else 0),
        macs=(before.macs if before else 0, after.macs if after else 0),
    )


def _sources(node: Node, nodes: Mapping[str, Node], other_nodes: Mapping[str, Node]) -> list[str]:
    """Return the nearest nodes upstream of a node that both networks have."""
    sources = []
    for name in node.inputs:
        while name in nodes and name not in other_nodes and len(nodes[name].inputs) == 1:
            (name,) = nodes[name].inputs
        sources.append(name)
    return sources


def _merged(old: list[str], new: list[str]) -> list[str]:
    """Merge two lists of names, each once, in an order that is consistent with both if possible."""
    merged, position, common = [], 0, set(old) & set(new)
    for name in new:
        if name in common:
            while position < len(old) and old[position] != name:
                if old[position] not in common:
                    merged.append(old[position])
                position += 1
            position += 1
        merged.append(name)
    included = set(merged)
    return merged + [name for name in old if name not in included]


def _output(node: Node | None) -> str | None:
    return None if node is None else height_width_channels(node.shape)


def _input(node: Node | None) -> str | None:
    return None if node is None else height_width_channels(node.input_shapes[0])


def _is_default(op: str, key: str, value: Any) -> bool:
    """Return whether an attribute has its default value, or follows from others."""
    if op not in ops.OPS:
        return False
    spec_field = ops.OPS[op].fields.get(key)
    if spec_field is None or key.startswith("in_"):
        return True
    values = set(value) if isinstance(value, tuple) else {value}
    return not spec_field.required and values == {spec_field.default}
