"""Removes published figures from documents, which need not be valid specs."""

from __future__ import annotations

from typing import Any

from zoo.graphs.published import NOTES
from zoo.language.document import Mapping, Sequence


def without_figures(document: Mapping) -> Mapping:
    """Return a copy of a document without the figures that it states, and without their notes."""
    result = document.without("published")
    if "layers" in result:
        result["layers"] = _each(result["layers"], _without_stated)
    if "blocks" in result:
        result["blocks"] = _each(result["blocks"], _without_stated_inside)
    if "tables" in result:
        result["tables"] = _each(result["tables"], _without_results)
    return result


def _each(mapping: Any, change: Any) -> Any:
    """Return a mapping with its mappings changed."""
    if not isinstance(mapping, Mapping):
        return mapping
    result = mapping.without()
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            result[key] = change(value)
    return result


def _without_stated(layer: Mapping) -> Mapping:
    return _without_stated_inside(layer.without("published"))


def _without_stated_inside(block: Mapping) -> Mapping:
    if "layers" not in block:
        return block
    result = block.without()
    result["layers"] = _each(block["layers"], _without_stated)
    return result


def _without_results(table: Mapping) -> Mapping:
    """Return a table with null in the columns that state results."""
    columns, results, rows = (table.get(key) for key in ("columns", "published", "rows"))
    if not (isinstance(columns, list) and isinstance(results, list) and isinstance(rows, Mapping)):
        return table
    result = table.without(NOTES)
    result["rows"] = rows.without()
    for name, cells in rows.items():
        if isinstance(cells, Sequence) and len(cells) == len(columns):
            row = Sequence(None if c in results else v for c, v in zip(columns, cells, strict=True))
            row.line, row.lines = cells.line, cells.lines
            result["rows"][name] = row
    return result
