"""Unifies the repetitions of a layer to a loop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import BackendError
from zoo.graphs.blocks import Block
from zoo.graphs.nodes import Node
from zoo.ops.expressions import ExpressionError, evaluate
from zoo.writing.folding import Text
from zoo.writing.scope import ABSENT, Column, Scope, is_constant, representative


class LoopScope(Scope):
    """The scope of one repetition: a row for each repetition in each instance."""

    def __init__(self, outer: Scope, counts: Sequence[int], repeat: Any) -> None:
        self.outer, self.counts, self.repeat = outer, counts, repeat
        self.defaults, self.channels_name = {}, outer.channels_name
        self.channels = outer.channels
        self.constants, self.local = outer.constants, outer.local
        self.aliases = dict(outer.aliases)
        self.extra: dict[str, Column] = {}
        self.used: dict[str, None] = {}
        self.index = [i for n in counts for i in range(n)]
        self.names = [
            {**row, "index": i, "item": self._item(row, i)}
            for row, n in zip(outer.names, counts, strict=True)
            for i in range(n)
        ]
        self.columns = {
            name: [value for value, n in zip(column, counts, strict=True) for _ in range(n)]
            for name, column in {**outer.columns, **outer.extra}.items()
        }
        self.columns["i"] = self.index
        self.aliases["index"] = Text("i")
        self.candidates = list(outer.candidates)
        self.table: dict[str, Column] = {}
        self.variables: tuple[str, ...] = ()
        self.rows: Any = None
        self.running, self.start, self.following = "", None, None
        self.reads: Column = ()

    def _item(self, names: Mapping[str, Any], i: int) -> Any:
        try:
            items = evaluate(self.repeat, names) if isinstance(self.repeat, str) else self.repeat
        except ExpressionError:
            return None
        return items[i] if isinstance(items, list) and i < len(items) else None

    def resolve(self, name: str) -> Any:
        return None if name == "item" else super().resolve(name)

    def use(self, found: Any) -> Any:
        if isinstance(found, Text):
            super().use(found)
            for name in list(self.used):
                if name in self.outer.columns or name in self.outer.extra:
                    self.outer.use(Text(name))
        return found

    def express(self, column: Column, stated: Any = None, name: str = "", key: str = "") -> Any:
        if is_constant(column):
            return representative(column)
        if name in ("in_channels", "in_features") and not self.running:
            self.running, self.reads = name, column
            self.columns = {**self.columns, name: column}
            return Text(name)
        found = self.find(column, stated)
        if found is not None:
            return self.use(found)
        collapsed = self._collapsed(column)
        if collapsed is not None:
            return self.outer.express(collapsed, None, name, key)
        unique, number = name, 2
        while unique in self.columns:
            unique = f"{key}_{name}" if number == 2 else f"{name}{number}"
            number += 1
        self.table[unique] = column
        self.columns[unique] = column
        return Text(unique)

    def _collapsed(self, column: Column) -> Column | None:
        """Return a column of the outer scope, if all repetitions in an instance have one value."""
        collapsed, start = [], 0
        for n in self.counts:
            part = column[start : start + n]
            start += n
            if n and not is_constant(part):
                return None
            collapsed.append(representative(part) if n else ABSENT)
        return collapsed

    def finish(self, children: Sequence[Node | Block], key: str) -> None:
        """Find the running channels, and the list that the repetitions take values from."""
        if self.running:
            self._run(children)
        if self.table:
            self.variables = tuple(self.table)
            columns = list(self.table.values())
            tables, start = [], 0
            for n in self.counts:
                part = [column[start : start + n] for column in columns]
                start += n
                tables.append(tuple(part[0] if len(part) == 1 else zip(*part, strict=True)))
            stated = self.repeat if isinstance(self.repeat, str) else None
            self.rows = self.outer.express(tables, stated, "rows")

    def _run(self, children: Sequence[Node | Block]) -> None:
        """Express what each repetition reads by what the one before it returns."""
        channels = [child.shape[0] for child in children]
        self.columns.pop("i")
        found = representative(channels) if is_constant(channels) else self.find(channels)
        self.columns["i"] = self.index
        starts, at = [], 0
        for n in self.counts:
            starts.append(self.reads[at] if n else ABSENT)
            at += n
        if found is not None and max(self.counts) > 1:
            self.following = self.use(found)
            self.start = self.outer.express(starts, None, self.running)
            if self.running in self.outer.columns:  # which the loop changes
                before, ends, at = self.outer.columns[self.running], [], 0
                for n, value in zip(self.counts, before, strict=True):
                    at += n
                    ends.append(channels[at - 1] if n else value)
                self.outer.columns[self.running] = ends
            return
        following = [
            channels[i] if i + 1 < len(channels) and self.index[i + 1] else ABSENT
            for i in range(len(channels))
        ]
        if any(value is not ABSENT for value in following):
            self.columns.pop("i")
            constant = is_constant(following)
            found = representative(following) if constant else self.find(following)
            self.columns["i"] = self.index
            if found is None:
                self.table = {self.running: self.reads, **self.table}
                self.running = ""
                return
            self.following = self.use(found)
            self.outer.columns.pop(self.running, None)
        self.start = self.outer.express(starts, None, self.running)


def numbering(found: Sequence[Sequence[tuple[str, Any]]], key: str) -> tuple[str, int]:
    """Return the prefix and the first number of the names of repetitions."""
    names = next(names for names in found if names)
    match = re.fullmatch(r"(.*?)(\d+)", names[0][0])
    if match:
        prefix, first = match[1], int(match[2])
        if all(
            [name for name, _ in row] == [f"{prefix}{first + i}" for i in range(len(row))]
            for row in found
        ):
            return prefix, first
    raise BackendError(f"the repetitions of {key} are not numbered")
