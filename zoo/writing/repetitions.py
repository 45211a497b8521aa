"""Unifies the repetitions of a layer to a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zoo.graphs.blocks import Block
from zoo.graphs.nodes import Node
from zoo.ops.expressions import ExpressionError, evaluate
from zoo.writing.folding import Text
from zoo.writing.scope import ABSENT, Column, Scope, equal, is_constant, representative, same

#: Takes the number of an instance, the columns of its table, and the rows by their names; returns
#: what the file calls the table.
Tabulate = Callable[[int, tuple[str, ...], Mapping[str, tuple[Any, ...]]], Text]


class LoopScope(Scope):
    """The scope of one repetition: a row for each repetition in each instance.

    Args:
        outer: The scope of the block that has the layer.
        found: For each instance, the names of the repetitions, and what they became.
        repeat: What the spec states for the repetitions.
        cells: If they have the names of the rows of a table, its columns that are arguments.
    """

    def __init__(
        self,
        outer: Scope,
        found: Sequence[Sequence[tuple[str, Node | Block]]],
        repeat: Any,
        cells: Mapping[str, Column] | None,
    ) -> None:
        self.outer, self.repeat = outer, repeat
        self.counts = counts = [len(names) for names in found]
        self.keys = [[name for name, _ in names] for names in found]
        self.children = [child for names in found for _, child in names]
        self.is_table, self.cells = cells is not None, dict(cells or {})
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
        if not self.is_table:
            self._count()
        self.candidates, self.readable = list(outer.candidates), outer.readable
        self.returned, self.reading = {}, "input"
        self.table: dict[str, Column] = {}
        self.variables: tuple[str, ...] = ()
        self.rows: Any = None
        self.running, self.start, self.following = "", None, None
        self.reads: Column = ()

    def _count(self) -> None:
        """Let expressions read the number of the repetition."""
        self.columns["i"] = self.index
        self.aliases["index"] = Text("i")

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
        if name in self.cells and same(self.cells[name], column):
            return self._cell(name)
        runs = name in ("in_channels", "in_features") and not self.running
        if runs and (not is_constant(column) or self._returned()):
            self.running, self.reads = name, column
            self.columns = {**self.columns, name: column}
            return Text(name)
        if is_constant(column):
            found = self.generalized(column, stated, name) if ABSENT in column else None
            return representative(column) if found is None else self.use(found)
        stated_cell = next((n for n, cells in self.cells.items() if same(cells, column)), None)
        if stated_cell is not None:
            return self._cell(stated_cell)
        differ = len(set(map(tuple, self.keys))) > 1 or not self._is_of_rows(column)
        if self.is_table and "$index" in str(stated) and differ:
            self._count()
        found = self.find(column, stated)
        if found is not None:
            return self.use(found)
        collapsed = self._collapsed(column)
        if collapsed is not None:
            return self.outer.express(collapsed, None, name, key)
        if self.is_table and not self._is_of_rows(column):
            self._count()
            found = self.find(column, stated)
            if found is not None:
                return self.use(found)
        return self._new_column(name, column, key)

    def _cell(self, name: str) -> Text:
        """Return what stands for a column of the table of the spec."""
        column = self.cells[name]
        known = next((n for n, cells in self.table.items() if cells is column), None)
        return Text(known) if known else self._new_column(name, column, "row")

    def _new_column(self, name: str, column: Column, key: str) -> Text:
        unique, number = name, 2
        while unique in self.columns or unique in self.local:
            unique = f"{key}_{name}" if number == 2 else f"{name}{number}"
            number += 1
        self.table[unique] = column
        self.columns[unique] = column
        return Text(unique)

    def _returned(self) -> str | None:
        """Return the column of the table that states the channels of what is repeated."""
        channels = [child.shape[0] for child in self.children]
        return next((name for name, cells in self.cells.items() if same(cells, channels)), None)

    def _condition(self, column: Column, available: Mapping[str, Column]) -> Any:
        """Return a condition that has the values of a column, unless that could be of a table."""
        has_number = not self.is_table or "i" in self.columns
        return super()._condition(column, available) if has_number else None

    def _is_of_rows(self, column: Column) -> bool:
        """Tell whether rows of the same name have the same value in all instances."""
        names = [name for names in self.keys for name in names]
        values: dict[str, Any] = {}
        pairs = zip(names, column, strict=True)
        return all(equal(values.setdefault(name, value), value) for name, value in pairs)

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

    def finish(self, tabulate: Tabulate) -> None:
        """Find the running channels, and the list that the repetitions take values from.

        Args:
            tabulate: Returns the name of a table that the file has.
        """
        if self.running:
            self._run()
        self.variables = tuple(self.table)
        if not self.variables and not self.is_table:
            return
        columns = list(self.table.values())
        rows: list[Any] = []
        start = 0
        for number, names in enumerate(self.keys):
            part = [column[start : start + len(names)] for column in columns]
            start += len(names)
            cells = list(zip(*part, strict=True)) if part else [()] * len(names)
            if self.is_table:
                named = dict(zip(names, cells, strict=True))
                rows.append(tabulate(number, self.variables, named))
            else:
                rows.append(tuple(part[0] if len(part) == 1 else cells))
        stated = self.repeat if isinstance(self.repeat, str) else None
        self.rows = self.outer.express(rows, stated, "rows")

    def _run(self) -> None:
        """Express what each repetition reads by what the one before it returns."""
        channels = [child.shape[0] for child in self.children]
        column = self._returned()
        found = self._cell(column) if column else self._of_channels(channels)
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
            found = self._of_channels(following)
            if found is None:
                self.table = {self.running: self.reads, **self.table}
                self.running = ""
                return
            self.following = self.use(found)
            self.outer.columns.pop(self.running, None)
        self.start = self.outer.express(starts, None, self.running)

    def _of_channels(self, column: Column) -> Any:
        """Return an expression for channels that does not read the number of the repetition."""
        if is_constant(column):
            return representative(column)
        index = self.columns.pop("i", None)
        found = self.find(column)
        if index is not None:
            self.columns["i"] = index
        return found


def is_numbered(names: Sequence[str], key: str) -> bool:
    """Tell whether repetitions have the name of the layer and numbers from 1."""
    return list(names) == [f"{key}{i + 1}" for i in range(len(names))]
