"""Tables of models: each row becomes a variant like those that are written out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from zoo.errors import quoted, suggestion
from zoo.graphs.published import FIGURES
from zoo.language.document import MAX_VALUES, Location, Mapping, Sequence, error, merge
from zoo.language.schema import ModelTable, Options, Preprocessing, Variant
from zoo.ops.kinds import Mismatch

MAX_PARTS = 8  # of a column's path

Path = tuple[str, ...]

#: What else a paper's table of variants states.
_USUAL = (
    *(f"options.{name}" for name in Options.fields),
    *(f"preprocessing.{name}" for name in Preprocessing.fields),
    *(f"published.{figure}" for figure in FIGURES),
)


def names(models: Any) -> list[str]:
    """Return the names of the models under ``models``, which need not be valid.

    Example:
        >>> names({"a": {}, "table2": {"columns": ["width"], "rows": {"b": [1], "c": [2]}}})
        ['a', 'b', 'c']
    """
    found: list[str] = []
    for name, entry in models.items() if isinstance(models, dict) else ():
        rows = entry.get("rows") if isinstance(entry, dict) else None
        found += rows if isinstance(rows, dict) else [name]
    return found


def with_rows(document: Mapping, settings: Iterable[str]) -> Mapping:
    """Return a document whose tables of models are replaced by a variant for each row.

    Args:
        document: A valid spec file, also one that extends a family; it is not changed.
        settings: The settings of the family, which columns name without a path.

    Raises:
        SpecError: A column is not the path of a field, a row does not fit the columns, a cell is
            not of the kind of its field, two models have the same name, or the rows have too many
            values.
    """
    written = document.get("models") or Mapping()
    if not any(ModelTable.is_one(entry) for entry in written.values()):
        return document
    models = Mapping(file=written.file, line=written.line)
    values = 0
    for key, entry in written.items():
        location: Location = ("models", key)
        if not ModelTable.is_one(entry):
            _put(models, key, entry, written, location, document)
            continue
        common, rows = entry.without("columns", "rows"), entry["rows"]
        columns = list(_columns(entry["columns"], settings, (*location, "columns"), document))
        values += len(rows) * (_count(common) + sum(map(len, columns)))
        if values > MAX_VALUES:
            raise error(document, location, f"more than {MAX_VALUES:,} values in all rows together")
        for row, cells in rows.items():
            place = (*location, "rows", row)
            if len(cells) != len(columns):
                message = f"expected {len(columns)} columns, got {len(cells)}"
                raise error(document, place, message)
            variant = merge(common, _changes(columns, cells, rows.file))
            _check(variant, columns, place, document)
            _put(models, row, variant, rows, place, document)
    result = document.without()
    result["models"] = models
    return result


def _put(
    models: Mapping, name: str, variant: Any, source: Mapping, place: Location, document: Mapping
) -> None:
    if name in models:
        raise error(document, place, f"there is another model {quoted(name)}")
    models.put(name, variant, source)


def _columns(
    columns: Sequence, settings: Iterable[str], location: Location, document: Mapping
) -> Iterator[Path]:
    """Yield the path of the field that each column states."""
    seen: set[Path] = set()
    inner: set[Path] = set()  # what encloses a field that a column states
    for i, column in enumerate(columns):
        place = (*location, i)
        path = tuple(column.split("."))
        if len(path) == 1 and column in settings:
            path = ("settings", column)
        if path[0] not in Variant.fields:
            known = (*settings, *Variant.fields, *_USUAL)
            whole = next((name for name in _USUAL if name.endswith(f".{column}")), None)
            hint = f". Did you mean {whole!r}?" if whole else suggestion(column, known)
            raise error(document, place, f"no setting, and no field, {quoted(column)}{hint}")
        if len(path) > MAX_PARTS:
            raise error(document, place, f"a path of more than {MAX_PARTS} parts")
        outer = [path[:end] for end in range(1, len(path))]
        if path in seen or path in inner or not seen.isdisjoint(outer):
            raise error(document, place, f"another column states {quoted(column)}, too")
        seen.add(path)
        inner.update(outer)
        yield path


def _changes(columns: list[Path], cells: Sequence, file: str) -> Mapping:
    """Return what the cells of a row change; an empty one changes nothing."""
    changes = Mapping(file=file, line=cells.line)
    for path, cell, line in zip(columns, cells, cells.lines, strict=True):
        if cell is None:
            continue
        holder = changes
        for key in path[:-1]:
            holder.lines[key] = line
            holder = holder.setdefault(key, Mapping(file=file, line=line))
        holder.lines[path[-1]] = line
        holder[path[-1]] = cell
    return changes


def _check(variant: Mapping, columns: list[Path], place: Location, document: Mapping) -> None:
    try:
        Variant.read(variant)
    except Mismatch as mismatch:
        wrong = tuple(map(str, mismatch.location))
        cells = [i for i, path in enumerate(columns) if path == wrong[: len(path)]]
        raise error(document, (*place, *cells), str(mismatch)) from None


def _count(value: Any) -> int:
    """Count a value and those in it."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, items))
