"""What two networks differ in, as tables and as data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from zoo.errors import UnknownNameError
from zoo.graphs.graph import Graph
from zoo.language.graphs import graph
from zoo.views.changes import Change, changes

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

_COUNTS = (("num_parameters", "parameters"), ("macs", "MACs"))
_FEW = 40  # changes, which fit a screen


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
        self.changes = tuple(changes(old, new))
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
        for (_, words), alike in groups.items():
            first = alike[0]
            what = words if first.kind == "follows" else _difference(first, words)
            if first.kind == "changed" and any(c.shape[0] != c.shape[1] for c in alike):
                what += "; and other sizes"
            deltas = [
                _signed(sum(new - old for old, new in counts))
                for counts in ([c.parameters for c in alike], [c.macs for c in alike])
            ]
            yield [_abridged([change.name for change in alike]), what, *deltas]

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


def _signed(number: int) -> str:
    return f"{number:+,}" if number else ""
