"""The tables of a spec whose rows are repetitions of a layer, as constants of the source file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.ops.expressions import evaluate
from zoo.writing.collection import Collection, Instance
from zoo.writing.folding import Text
from zoo.writing.naming import camel_case, constant_name
from zoo.writing.pieces import Layer, Table, Used
from zoo.writing.scope import Column, frozen


class Tables:
    """The constants of a source file that loops go through.

    Args:
        collection: The network.

    Attributes:
        constants: The tables, by their names in the file.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.constants: dict[str, Table] = {}

    def cells(
        self, tables: set[str], owners: Sequence[Instance | None], uses: Column
    ) -> dict[str, Column]:
        """Return the columns of tables of the spec that are arguments of a block."""
        bindings = [
            self.collection.traces[owner.number].uses[use.name][1]
            for owner, use in zip(owners, uses, strict=True)
            if owner is not None
        ]
        found = [self.collection.document["tables"][name]["columns"] for name in sorted(tables)]
        return {
            name: [frozen(values[name]) for values in bindings]
            for name in found[0]
            if all(name in values for values in (*found, *bindings))
        }

    def name(self, stated: str, row: Instance) -> str:
        """Return the name of a table, for which the spec may have an expression."""
        return str(evaluate(stated, row.names)) if "$" in stated else stated

    def add(
        self,
        names: Sequence[str],
        made: Layer,
        number: int,
        columns: tuple[str, ...],
        rows: Mapping[str, tuple[Any, ...]],
    ) -> Text:
        """Return the constant of the file that has the rows of a table, for one instance."""
        if not rows:
            return Text("{}" if columns else "()")
        table = Table(columns, rows, made.piece if isinstance(made, Used) else None)
        classes = map(camel_case, self.collection.document.get("blocks", {}))
        constant = constant_name(names[number], classes)
        unique, count = constant, 2
        while self.constants.setdefault(unique, table) != table:
            unique, count = f"{constant}_{count}", count + 1
        return Text(unique)
