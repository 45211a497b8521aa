"""The constants of a source file: tables of a spec, and what loops take their values from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from zoo.writing.expressions import exploded
from zoo.writing.folding import Text
from zoo.writing.layout import Bracket, Expression, collection, lines, paragraph
from zoo.writing.naming import constant_name, plural
from zoo.writing.pieces import Member, Piece, Table


class Constants:
    """Collects the constants of one file.

    Args:
        tables: The tables that loops go through, by their names in the file.
        value: Returns the expression of a value.
        name: Returns what a piece is called.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        value: Callable[[Any], Expression],
        name: Callable[[Piece], str],
    ) -> None:
        self.tables, self._value, self._name = tables, value, name
        self._texts: dict[str, list[str]] = {}
        self._late: dict[str, list[str]] = {}
        self._cells: dict[str, dict[str, Sequence[Any]]] = {}

    def add_tables(self) -> None:
        """Add the tables that loops go through."""
        for name, table in self.tables.items():
            self._add_table(name, table)

    def _add_table(self, name: str, table: Table) -> None:
        if not table.columns:
            self._texts[name] = lines(f"{name} = ", collection(map(self._value, table.rows)))
            return
        single = len(table.columns) == 1
        rows = {row: cells[0] if single else cells for row, cells in table.rows.items()}
        found = self._dictionary(name, {row: self._value(cells) for row, cells in rows.items()})
        if table.piece:
            found = [*self._heading(table.piece, table.columns), *found]
        self._add(name, found, table.rows.values())

    def add_rows(self, member: Member, rows: Sequence[Any]) -> str:
        """Add the values of the repetitions of a member, and return the constant that has them."""
        name = plural(member.key).upper()
        found = exploded(f"{name} = ", collection(map(self._value, rows), "[]"))
        self._add(name, found, (row for row in rows if isinstance(row, tuple)))
        return name

    def _add(self, name: str, found: list[str], rows: Iterable[Sequence[Any]]) -> None:
        names_classes = any(isinstance(cell, Text) for row in rows for cell in row)
        (self._late if names_classes else self._texts)[name] = found

    def add_cells(
        self, name: str, piece: Piece, columns: Sequence[str], key: str, cells: Sequence[Any]
    ) -> None:
        """Add a row to a table of the spec, which states arguments of a layer.

        Args:
            name: The constant.
            piece: What the layer is made by.
            columns: The parameters.
            key: The layer.
            cells: The arguments.
        """
        self._texts.setdefault(f"{name} heading", self._heading(piece, columns))
        self._cells.setdefault(name, {})[key] = cells

    def name_of_table(self, table: str, pieces: Iterable[Piece]) -> str:
        """Return the constant for a table of the spec."""
        return constant_name(table, {*self.tables, *(piece.name for piece in pieces)})

    def _heading(self, piece: Piece, columns: Sequence[str]) -> list[str]:
        """Return the comment that states what a table has."""
        sentence = f"The arguments of {self._name(piece)}: {', '.join(columns)}."
        found = [f"# {line}" for line in paragraph([sentence], len("# "))]
        return [line.replace("#   ", "# ") for line in found]

    def _dictionary(self, name: str, rows: Mapping[str, Expression]) -> list[str]:
        items = tuple((f'"{row}": ', value) for row, value in rows.items())
        return exploded(f"{name} = ", Bracket("", items, "{}"))

    def lines(self) -> list[str]:
        """Return the lines that come before the first class."""
        for name, rows in self._cells.items():
            values = {row: collection(map(self._value, cells)) for row, cells in rows.items()}
            self._texts[name] = self._dictionary(name, values)
        return [line for found in self._texts.values() for line in found]

    def late_lines(self) -> list[str]:
        """Return the lines that come just before the network, because they name classes."""
        return [line for found in self._late.values() for line in (*found, "", "")]
