"""What two networks differ in, node by node, in words and numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.language.expansion import graph
from zoo.network import Graph, Node

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

#: Attributes that follow from others, which say it better.
_DERIVED = frozenset({"symmetric", "counts", "windows", "layout", "num_features"})


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
        parameters: Old and new number of trainable values.
        macs: Old and new multiply-accumulates of one example.
    """

    name: str
    kind: str
    op: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    reads: tuple[Sequence[str], Sequence[str]] | None = None
    shape: tuple[str | None, str | None] = (None, None)
    parameters: tuple[int, int] = (0, 0)
    macs: tuple[int, int] = (0, 0)

    @property
    def words(self) -> str:
        """The change in words."""
        if self.kind in ("added", "removed"):
            return self.kind
        said = [f"{key} {_text(old)} → {_text(new)}" for key, (old, new) in self.fields.items()]
        if self.reads:
            said.append(f"reads {_text(self.reads[0])} → {_text(self.reads[1])}")
        if self.kind == "follows" and self.shape[0] != self.shape[1]:
            said.append(f"{self.shape[0]} → {self.shape[1]}")
        return ", ".join(said) or {"follows": "other numbers", "changed": ""}.get(
            self.kind, self.kind
        )


class Difference:
    """What two networks differ in; see :func:`diff`.

    Attributes:
        old, new: The two graphs.
        changes: One for each node that is different, in the order of the networks.
    """

    def __init__(self, old: Graph, new: Graph) -> None:
        self.old, self.new = old, new
        self.changes = tuple(_changes(old, new))

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "same": not self,
            "models": [self.old.name, self.new.name],
            "num_parameters": [self.old.num_parameters, self.new.num_parameters],
            "macs": [self.old.macs, self.new.macs],
            "preprocessing": self.preprocessing,
            "changes": [{**asdict(change), "words": change.words} for change in self.changes],
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.markup import escape

        old, new = self.old, self.new
        if not self:
            yield f"{old.name} and {new.name} are the same network"
            if told := self._other_preprocessing():
                yield escape(told)
            return
        yield self._table()
        if told := self._other_preprocessing():
            yield escape(told)

    @property
    def preprocessing(self) -> dict[str, list[Any]]:
        """What is different in how a photograph becomes an input: field -> old and new value."""
        old, new = self.old.preprocessing, self.new.preprocessing
        return {k: [old.get(k), new.get(k)] for k in new if old.get(k) != new.get(k)}

    def _other_preprocessing(self) -> str:
        said = [f"{key} {old} → {new}" for key, (old, new) in self.preprocessing.items()]
        return f"their preprocessing differs: {', '.join(said)}" if said else ""

    def _table(self) -> Table:
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        old, new = self.old, self.new
        table = Table(
            title=f"{escape(old.name)} → {escape(new.name)}",
            title_justify="left",
            show_footer=True,
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("nodes", footer="total", overflow="fold", max_width=34)
        table.add_column("difference", overflow="fold")
        for key, heading in (("num_parameters", "parameters"), ("macs", "MACs")):
            total = f"{getattr(old, key):,}\n→ {getattr(new, key):,}"
            table.add_column(heading, footer=total, justify="right", no_wrap=True)
        groups: dict[tuple[str, str], list[Change]] = {}
        for change in self.changes:
            if change.kind != "follows":
                groups.setdefault((change.op, change.words), []).append(change)
        for change in self.changes:  # so that the rows come to the total
            if change.kind == "follows":
                groups.setdefault(("and so", _size_change(change)), []).append(change)
        for (op, words), changes in groups.items():
            names = _abridged([change.name for change in changes])
            deltas = [
                _signed(sum(c[1] - c[0] for c in counts))
                for counts in ([c.parameters for c in changes], [c.macs for c in changes])
            ]
            what = f"{op}: {words}" if changes[0].kind == "changed" and words else f"{op} {words}"
            if changes[0].kind == "changed" and any(c.shape[0] != c.shape[1] for c in changes):
                what += "; and other sizes"
            table.add_row(names, escape(what), *deltas)
        return table

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=120, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


def diff(old: str | os.PathLike[str], new: str | os.PathLike[str], **options: Any) -> Difference:
    """Say what two networks differ in.

    Nodes are the same if they have the same path name. No framework is imported.

    Args:
        old: A model zoo ships, or the path of a YAML file.
        new: Another.
        **options: For both, as of :func:`zoo.graph`: aux, num_classes, in_channels, input_size.

    Returns:
        The differences, in the order of the networks; false if there are none.

    Raises:
        UnknownNameError, SpecError, InputError: As of :func:`zoo.graph`.

    Example:
        >>> import zoo
        >>> found = zoo.diff("googlenet", "googlenet_no_reduce")
        >>> [(change.name, change.kind) for change in found.changes][:2]
        [('conv2.reduce.conv', 'removed'), ('conv2.reduce.relu', 'removed')]
    """
    return Difference(graph(old, **options), graph(new, **options))


def _changes(old: Graph, new: Graph) -> Iterator[Change]:
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


def _size_change(change: Change) -> str:
    """What a change elsewhere comes to here: another height x width, or other inputs."""
    old, new = (str(shape).rpartition("x")[0] or str(shape) for shape in change.shape)
    return f"{old} → {new}" if old != new else "other channels"


def _abridged(names: Sequence[str]) -> str:
    """One name, or what many have in common, such as ``inception*.relu (9)``."""
    if len(names) == 1:
        return names[0]
    start = _common(names)
    end = _common([name[len(start) :][::-1] for name in names])[::-1]
    return f"{start}*{end} ({len(names)})"


def _common(names: Sequence[str]) -> str:
    """The characters that all names begin with."""
    first, last = min(names), max(names)
    return first[: next((i for i, c in enumerate(first) if c != last[i : i + 1]), len(first))]


def _output(node: Node | None) -> str | None:
    return None if node is None else _text((*node.shape[1:], node.shape[0]))


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


def _signed(number: int) -> str:
    return f"{number:+,}" if number else ""
