"""What two networks differ in, node by node, in words and numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zoo import ops
from zoo.errors import UnknownNameError
from zoo.language.graphs import graph
from zoo.network import Graph, Node, Shape

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

#: Attributes that follow from others, which say it better.
_DERIVED = frozenset({"symmetric", "counts", "windows", "layout", "num_features"})
_CHANNELS = frozenset({"out_channels", "out_features"})
_COUNTS = (("num_parameters", "parameters"), ("macs", "MACs"))
_FEW = 40  # changes, which fit a screen


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


class Difference:
    """What two networks differ in; see :func:`diff`.

    Attributes:
        old, new: The two graphs.
        changes: One for each node that is different, in the order of the networks.

    Printed, a few changes are told node by node, within the blocks they are in; many are put
    together where they are alike, unless ``every`` asks for each.
    """

    def __init__(self, old: Graph, new: Graph, every: bool = False) -> None:
        self.old, self.new = old, new
        self.changes = tuple(_changes(old, new))
        self._every = every or len(self.changes) <= _FEW

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

        if self:
            table = self._table()
            for cells in self._nodes() if self._every else self._groups():
                table.add_row(*map(escape, cells))
            yield table
        else:
            yield f"{self.old.name} and {self.new.name} are the same network"
        yield from map(escape, self._beside())

    @property
    def preprocessing(self) -> dict[str, list[Any]]:
        """What is different in how a photograph becomes an input: field -> old and new value."""
        old, new = self.old.preprocessing, self.new.preprocessing
        return {k: [old.get(k), new.get(k)] for k in new if old.get(k) != new.get(k)}

    def _beside(self) -> Iterator[str]:
        """What differs and is no part of the networks."""
        said = [f"{key} {old} → {new}" for key, (old, new) in self.preprocessing.items()]
        if said:
            yield f"their preprocessing differs: {', '.join(said)}"
        if self.old.initializers != self.new.initializers:
            yield "their initial weights differ where init='paper' asks for what the spec states"

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
        for key, heading in _COUNTS:
            total = f"{getattr(old, key):,}\n→ {getattr(new, key):,}"
            table.add_column(heading, footer=total, justify="right", no_wrap=True)
        return table

    def _nodes(self) -> Iterator[list[str]]:
        """A row for every change, below rows that tell what the blocks it is in come to."""
        open_: list[str] = []
        for change in self.changes:
            *blocks, name = change.name.split(".")
            same = next(
                (i for i, (a, b) in enumerate(zip(open_, blocks, strict=False)) if a != b), None
            )
            shared = min(len(open_), len(blocks)) if same is None else same
            for i in range(shared, len(blocks)):
                path = ".".join(blocks[: i + 1])
                counts = [
                    _both(_count(self.old, path, k), _count(self.new, path, k)) for k, _ in _COUNTS
                ]
                yield ["  " * i + blocks[i], "", *counts]
            open_ = blocks
            counts = [_both(*pair) for pair in (change.parameters, change.macs)]
            yield ["  " * len(blocks) + name, _difference(change, change.words), *counts]

    def _groups(self) -> Iterator[list[str]]:
        """A row for changes that are alike."""
        groups: dict[tuple[str, str], list[Change]] = {}
        for follows in (False, True):
            for change in self.changes:
                if (change.kind == "follows") == follows:
                    what = "and so " + _size_change(change) if follows else change.said(False)
                    groups.setdefault((change.op * (not follows), what), []).append(change)
        for (_, words), changes in groups.items():
            first = changes[0]
            what = words if first.kind == "follows" else _difference(first, words)
            if first.kind == "changed" and any(c.shape[0] != c.shape[1] for c in changes):
                what += "; and other sizes"
            deltas = [
                _signed(sum(new - old for old, new in counts))
                for counts in ([c.parameters for c in changes], [c.macs for c in changes])
            ]
            yield [_abridged([change.name for change in changes]), what, *deltas]

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=120, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


def diff(
    old: str | os.PathLike[str], new: str | os.PathLike[str], *, every: bool = False, **options: Any
) -> Difference:
    """Say what two networks differ in.

    Nodes are the same if they have the same path name. No framework is imported.

    Args:
        old: A model zoo ships, or the path of a YAML file.
        new: Another.
        every: Whether each node is told of when it is printed, however many there are.
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
    first, second = graph(old, **options), graph(new, **options)
    if first.name == second.name:  # two files' networks of one name
        first, second = (replace(g, name=os.fspath(n)) for g, n in ((first, old), (second, new)))
    return Difference(first, second, every)


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


def _difference(change: Change, words: str) -> str:
    """Put the operation before what is said of it."""
    if change.kind == "follows":
        return f"and so {words}"
    return f"{change.op}: {words}" if change.kind == "changed" and words else f"{change.op} {words}"


def _size_change(change: Change) -> str:
    """What a change elsewhere comes to here: another height x width, or other inputs."""
    old, new = map(str, change.shape)
    if old.count("x") == new.count("x") == 2:
        old, new = (shape.rpartition("x")[0] for shape in (old, new))
    return f"{old} → {new}" if old != new else "other channels"


def _count(network: Graph, path: str, key: str) -> int:
    """What a block counts, if it is there."""
    with suppress(UnknownNameError):
        return int(getattr(network[path], key))
    return 0


def _both(old: int, new: int) -> str:
    if old == new:
        return f"{old:,}" if old else ""
    return f"{old:,} → {new:,}"


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
    return None if node is None else _size(node.shape)


def _input(node: Node | None) -> str | None:
    return None if node is None else _size(node.input_shapes[0])


def _size(shape: Shape) -> str:
    return _text((*shape[1:], shape[0]))


def _goes_without_saying(op: str, key: str, value: Any) -> bool:
    """Whether an attribute is what the operation has if nothing is said, or follows from others."""
    field = ops.OPS[op].model_fields.get(key)
    if field is None or key.startswith("in_"):
        return True
    values = set(value) if isinstance(value, tuple) else {value}
    return not field.is_required() and values == {field.default}


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
