"""The arguments of a block: its defaults, the row of a table, and the fields of the layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import listed, quoted, shortened, suggestion
from zoo.graphs.published import NOTES
from zoo.language.schema import Rows, Spec, Table, Use
from zoo.language.scope import Scope
from zoo.ops.fields import RESERVED_FIELDS

MAX_BLOCK_DEPTH = 16

#: Names that expressions can read but a spec cannot set.
SPECIAL = frozenset({"index", "item", "input"})


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its arguments, its published figures, and the location of each cell."""

    arguments: Mapping[str, Any]
    published: Mapping[str, Any]
    scopes: Mapping[str, Scope]


NO_ROW = Row({}, {}, {})


def row(spec: Spec, name: str, use: Use, scope: Scope) -> Row:
    """Return the row of a table that belongs to a layer.

    Raises:
        SpecError: There is no such table or row, or the row does not fit its columns.
    """
    repeat = use.repeat
    if isinstance(repeat, Rows):
        if use.table is not None:
            scope.fail("the repeated rows already give the arguments; leave 'table' out", "table")
        scope = scope.moved(*scope.location, "repeat", "table")
        table_name, table = find_table(spec, repeat.table, scope)
    elif use.table is None:
        return NO_ROW
    else:
        scope = scope.moved(*scope.location, "table")
        table_name, table = find_table(spec, use.table, scope)
    scope.spend(30 * len(table.columns))
    _check_columns(table, scope.moved("tables", table_name))
    if name not in table.rows:
        hint = suggestion(name, table.rows)
        scope.fail(f"table {quoted(table_name)} has no row {quoted(name)}{hint}")
    row_scope = scope.moved("tables", table_name, "rows", name)
    cells = table.rows[name]
    if len(cells) != len(table.columns):
        row_scope.fail(f"expected {len(table.columns)} columns, got {len(cells)}")
    arguments = dict(zip(table.columns, cells, strict=True))
    published = {key: arguments.pop(key) for key in table.published}
    scopes = {key: row_scope.moved(*row_scope.location, i) for i, key in enumerate(table.columns)}
    if name in table.notes:
        published[NOTES] = table.notes[name]
        scopes[NOTES] = scope.moved("tables", table_name, "notes", name)
    return Row(arguments, published, scopes)


def find_table(spec: Spec, name: str, scope: Scope) -> tuple[str, Table]:
    """Find a table by its name, or by an expression that computes its name.

    Raises:
        SpecError: There is no such table.
    """
    table_name = scope.compute(name)
    if not isinstance(table_name, str) or table_name not in spec.tables:
        scope.fail(f"unknown table {quoted(table_name)}{suggestion(table_name, spec.tables)}")
    return table_name, spec.tables[table_name]


def _check_columns(table: Table, scope: Scope) -> None:
    for key, columns in (("columns", table.columns), ("published", table.published)):
        seen: set[str] = set()
        for i, column in enumerate(columns):
            if column in seen:
                scope.fail(f"duplicate column {quoted(column)}", key, i)
            seen.add(column)
    for name in table.notes:
        if name not in table.rows:
            scope.fail(f"no row {quoted(name)}{suggestion(name, table.rows)}", "notes", name)
    known = set(table.columns)
    for i, column in enumerate(table.published):
        if column not in known:
            hint = suggestion(column, table.columns)
            scope.fail(f"no column {quoted(column)}{hint}", "published", i)


def enter(
    spec: Spec, global_names: Mapping[str, Any], name: str, use: Use, scope: Scope
) -> tuple[str, Scope, Row]:
    """Enter a block: find it, and compute the values of its parameters.

    Args:
        spec: The spec, which has the blocks and tables.
        global_names: Options and settings with their values, which every block may read.
        name: The name of the layer, and of its row in a table.
        use: The layer.
        scope: The scope of the layer.

    Returns:
        The name of the block, the scope inside it, and the row of the table. The scope has the
        parameters, and no names from the place of use. Only defaults may read its ``$input``.

    Raises:
        SpecError: An unknown block, table or parameter, a missing argument, or a cycle.
    """
    blocks = spec.blocks
    kind = scope.compute(use.block, "block")
    if kind not in blocks:
        hint = suggestion(kind, blocks) or f". Known: {listed(blocks) or 'none'}."
        scope.fail(f"unknown block {quoted(kind)}{hint}", "block")
    if kind in scope.blocks or len(scope.blocks) >= MAX_BLOCK_DEPTH:
        nesting = f"block {' in '.join([kind, *reversed(scope.blocks)])}"
        if kind in scope.blocks:
            scope.fail(f"a cycle: {nesting}")
        scope.fail(
            f"blocks nested more than {MAX_BLOCK_DEPTH} levels deep: {shortened(nesting, 120)}"
        )
    cells = row(spec, name, use, scope)
    values = {**cells.arguments, **use.arguments}
    parameters = blocks[kind].parameters
    for key in values:
        if key not in parameters:
            hint = suggestion(key, parameters) or f". It takes: {listed(parameters) or 'none'}."
            value_scope = scope if key in use.arguments else cells.scopes[key]
            value_scope.fail(
                f"block {quoted(kind)} has no parameter {quoted(key)}{hint}",
                *([key] if key in use.arguments else []),
            )
    scope.spend(4 * len(global_names) + 30 * len(parameters))
    names = dict(global_names)
    default_names = {**global_names, "input": scope.names["input"]}
    for key, default in parameters.items():
        if key in RESERVED_FIELDS or key in global_names or key in SPECIAL:
            scope.moved("blocks", kind, "parameters", key).fail(
                f"a parameter cannot be called {quoted(key)}: the name is reserved"
            )
        if key in use.arguments:
            value = scope.compute(values[key], key)
        elif key in values:
            value = cells.scopes[key].compute(values[key])
        elif default is None:
            scope.fail(f"block {quoted(kind)} needs the argument {quoted(key)}")
        elif isinstance(default, str | list):
            default_scope = scope.moved("blocks", kind, "parameters", key, names=default_names)
            value = default_scope.compute(default)
        else:
            value = default
        names[key] = default_names[key] = value
    return kind, scope.moved("blocks", kind, "layers", names=names, block=kind), cells
