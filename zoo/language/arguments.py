"""What a block is given where it is used: its own defaults, a table's row, the layer's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import listed, quoted, suggestion
from zoo.graphs.published import NOTES
from zoo.language.schema import Rows, Spec, Table, Use
from zoo.language.scope import Scope
from zoo.ops.fields import RESERVED_FIELDS

MAX_BLOCK_DEPTH = 16

#: Names that expressions read and a spec does not set.
SPECIAL = frozenset({"index", "item", "input"})


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row: arguments, what the paper states beside them, and where each cell stands."""

    arguments: Mapping[str, Any]
    published: Mapping[str, Any]
    places: Mapping[str, Scope]


NO_ROW = Row({}, {}, {})


def row(spec: Spec, name: str, use: Use, at: Scope) -> Row:
    """Find the row that a table has for a layer.

    Raises:
        SpecError: There is no such table or row, or the row does not fit its columns.
    """
    repeat = use.repeat
    if isinstance(repeat, Rows):
        if use.table is not None:
            at.fail("the rows that are repeated give the arguments; leave 'table' out", "table")
        at = at.moved(*at.location, "repeat", "table")
        which, table = find_table(spec, repeat.table, at)
    elif use.table is None:
        return NO_ROW
    else:
        at = at.moved(*at.location, "table")
        which, table = find_table(spec, use.table, at)
    at.spend(30 * len(table.columns))
    _check_columns(table, at.moved("tables", which))
    if name not in table.rows:
        at.fail(f"table {quoted(which)} has no row {quoted(name)}.{suggestion(name, table.rows)}")
    place = at.moved("tables", which, "rows", name)
    cells = table.rows[name]
    if len(cells) != len(table.columns):
        place.fail(f"expected {len(table.columns)} columns, got {len(cells)}")
    arguments = dict(zip(table.columns, cells, strict=True))
    published = {key: arguments.pop(key) for key in table.published}
    places = {key: place.moved(*place.location, i) for i, key in enumerate(table.columns)}
    if name in table.notes:
        published[NOTES] = table.notes[name]
        places[NOTES] = at.moved("tables", which, "notes", name)
    return Row(arguments, published, places)


def find_table(spec: Spec, name: str, at: Scope) -> tuple[str, Table]:
    """Find a table by name or by an expression that gives its name.

    Raises:
        SpecError: There is no such table.
    """
    which = at.compute(name)
    if not isinstance(which, str) or which not in spec.tables:
        at.fail(f"unknown table {quoted(which)}.{suggestion(which, spec.tables)}")
    return which, spec.tables[which]


def _check_columns(table: Table, at: Scope) -> None:
    for key, columns in (("columns", table.columns), ("published", table.published)):
        seen: set[str] = set()
        for i, column in enumerate(columns):
            if column in seen:
                at.fail(f"column {quoted(column)} is there twice", key, i)
            seen.add(column)
    for name in table.notes:
        if name not in table.rows:
            at.fail(f"no row {quoted(name)}.{suggestion(name, table.rows)}", "notes", name)
    known = set(table.columns)
    for i, column in enumerate(table.published):
        if column not in known:
            hint = suggestion(column, table.columns)
            at.fail(f"no column {quoted(column)}.{hint}", "published", i)


def enter(
    spec: Spec, everywhere: Mapping[str, Any], name: str, use: Use, at: Scope
) -> tuple[str, Scope, Row]:
    """Step into a block: find its name, its parameters' values, and what a table says of it.

    Args:
        spec: Where blocks and tables are.
        everywhere: Options and settings, and their values: what every block may read.
        name: The layer's name, which is also that of its row.
        use: The layer.
        at: Where it stands.

    Returns:
        The block's name, the scope inside it, which knows its parameters and nothing of where it
        is used (only their defaults may read its ``$input``), and the table's row.

    Raises:
        SpecError: An unknown block, table or parameter, a missing argument, or a cycle.
    """
    blocks = spec.blocks
    kind = at.compute(use.block, "block")
    if kind not in blocks:
        known = suggestion(kind, blocks) or f" Known: {listed(blocks) or 'none'}."
        at.fail(f"unknown block {quoted(kind)}.{known}", "block")
    if kind in at.blocks or len(at.blocks) >= MAX_BLOCK_DEPTH:
        at.fail(f"a cycle: block {' in '.join([kind, *reversed(at.blocks)])}")
    cells = row(spec, name, use, at)
    given = {**cells.arguments, **use.arguments}
    parameters = blocks[kind].parameters
    for key in given:
        if key not in parameters:
            hint = suggestion(key, parameters) or f" It takes: {listed(parameters) or 'none'}."
            place = at if key in use.arguments else cells.places[key]
            place.fail(
                f"block {quoted(kind)} has no parameter {quoted(key)}.{hint}",
                *([key] if key in use.arguments else []),
            )
    at.spend(4 * len(everywhere) + 30 * len(parameters))
    names = dict(everywhere)
    reads = {**everywhere, "input": at.names["input"]}
    for key, default in parameters.items():
        if key in RESERVED_FIELDS or key in everywhere or key in SPECIAL:
            at.moved("blocks", kind, "parameters", key).fail(
                f"a parameter cannot be called {quoted(key)}: the name has a meaning already"
            )
        if key in use.arguments:
            value = at.compute(given[key], key)
        elif key in given:
            value = cells.places[key].compute(given[key])
        elif default is None:
            at.fail(f"block {quoted(kind)} needs the argument {quoted(key)}")
        elif isinstance(default, str | list):
            value = at.moved("blocks", kind, "parameters", key, names=reads).compute(default)
        else:
            value = default
        names[key] = reads[key] = value
    return kind, at.moved("blocks", kind, "layers", names=names, block=kind), cells
