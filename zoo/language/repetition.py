"""Repeated layers: a number of times, for each item of a list, or for each row of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import quoted
from zoo.language.arguments import find_table
from zoo.language.schema import Rows, Spec
from zoo.language.scope import Scope
from zoo.ops.fields import MAX_REPEAT, Layer

WORK = 50  # units of the budget, even for zero repetitions

#: The name of a layer, and the names that its expressions may read.
Named = tuple[str, Mapping[str, Any]]


def repetitions(spec: Spec, key: str, layer: Layer, scope: Scope) -> Iterator[Named]:
    """Yield each repetition of a layer: its name, and the names that its expressions may read.

    Args:
        spec: The spec, which has the tables.
        key: The name of the layer in the file.
        layer: The layer.
        scope: The block that it is in.

    Raises:
        SpecError: There are too many repetitions, or ``repeat`` has an invalid value.
    """
    if layer.repeat is None:
        yield key, scope.names
        return
    layer_scope = scope.inner(key, key, scope.names)
    layer_scope.spend(WORK)
    if isinstance(layer.repeat, Rows):
        yield from _rows(spec, layer.repeat, layer_scope)
        return
    times = layer_scope.compute(layer.repeat, "repeat")
    items = times if isinstance(times, list) else [None] * times if _is_count(times) else None
    if items is None or len(items) > MAX_REPEAT:
        shown = quoted(times)
        layer_scope.fail(f"repeat must be a list or a number from 0 to {MAX_REPEAT:,}, got {shown}")
    for i, item in enumerate(items):
        yield f"{key}{i + 1}", {**scope.names, "index": i, "item": item}


def _rows(spec: Spec, repeat: Rows, scope: Scope) -> Iterator[Named]:
    """Yield the name of each row of a table, and the names that expressions may read.

    ``$item`` is the row as a list, without the columns that state results.
    """
    table_scope = scope.moved(*scope.location, "repeat", "table")
    name, table = find_table(spec, repeat.table, table_scope)
    if len(table.rows) > MAX_REPEAT:
        table_scope.fail(f"table {quoted(name)} has more than {MAX_REPEAT:,} rows")
    scope.spend(len(table.rows) * (1 + len(scope.names) + len(table.columns)))
    published = set(table.published)
    columns = [i for i, column in enumerate(table.columns) if column not in published]
    for i, (row, cells) in enumerate(table.rows.items()):
        item = [cells[n] for n in columns if n < len(cells)]
        yield row, {**scope.names, "index": i, "item": item}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_REPEAT
