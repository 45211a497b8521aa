"""Layers that stand for several: repeated a number of times, for each item, or for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import quoted
from zoo.language.arguments import find_table
from zoo.language.schema import Rows, Spec
from zoo.language.scope import Scope
from zoo.ops.fields import Layer

MAX_REPEAT = 1_000
WORK = 50  # units of the budget, even of no times at all

#: A layer's name, and what its expressions may read.
Named = tuple[str, Mapping[str, Any]]


def repetitions(spec: Spec, key: str, layer: Layer, scope: Scope) -> Iterator[Named]:
    """Yield the name of each layer that one stands for, and what its expressions may read.

    Args:
        spec: The spec, which has the tables.
        key: The layer's name in the file.
        layer: The layer.
        scope: The block that it is in.

    Raises:
        SpecError: It is repeated too often, or for no list, number or table.
    """
    if layer.repeat is None:
        yield key, scope.names
        return
    at = scope.inner(key, key, scope.names)
    at.spend(WORK)
    if isinstance(layer.repeat, Rows):
        yield from _rows(spec, layer.repeat, at)
        return
    times = at.compute(layer.repeat, "repeat")
    items = times if isinstance(times, list) else [None] * times if _is_count(times) else None
    if items is None or len(items) > MAX_REPEAT:
        got = quoted(times)
        at.fail(f"repeat must be a list or a number from 0 to {MAX_REPEAT}, got {got}")
    for i, item in enumerate(items):
        yield f"{key}{i + 1}", {**scope.names, "index": i, "item": item}


def _rows(spec: Spec, repeat: Rows, at: Scope) -> Iterator[Named]:
    """Yield the name of each row of a table, and what expressions of its layer may read.

    ``$item`` is the row as a list, without the columns that state results.
    """
    where = at.moved(*at.location, "repeat", "table")
    name, table = find_table(spec, repeat.table, where)
    if len(table.rows) > MAX_REPEAT:
        where.fail(f"table {quoted(name)} has more than {MAX_REPEAT:,} rows")
    at.spend(len(table.rows) * (1 + len(at.names) + len(table.columns)))
    published = set(table.published)
    columns = [i for i, column in enumerate(table.columns) if column not in published]
    for i, (row, cells) in enumerate(table.rows.items()):
        item = [cells[n] for n in columns if n < len(cells)]
        yield row, {**at.names, "index": i, "item": item}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_REPEAT
