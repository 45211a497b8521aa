"""Decides which published figures a variant inherits: those of the parts it does not change.

- Figures of the whole network are inherited only if the variant changes no options, settings,
  tables, blocks or layers.
- Figures of a layer are inherited unless the variant changes options or settings, the layer, a
  block that it uses (directly or within another block), or its row of a table.

Figures that the variant states itself always apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoo.graphs.published import FIGURES, NOTES
from zoo.language.document import Mapping
from zoo.ops.expressions import is_expression

_DESCRIBING = ("published", "about", NOTES)
_COMPUTING = ("options", "settings", "tables", "blocks", "layers")


def without_foreign_figures(base: Mapping, variant: Mapping, patch: Mapping) -> Mapping:
    """Remove the figures that hold only for the base.

    Args:
        base: The spec that the variant changes.
        variant: The spec with the changes applied.
        patch: The changes.

    Returns:
        A copy of ``variant``; neither argument is changed.
    """
    result = variant.without()
    if all(_computing(base.get(key)) == _computing(variant.get(key)) for key in _COMPUTING):
        return result
    _keep_stated(result, patch)
    changes = _Changes(base, variant)
    if changes.rows:
        result["tables"] = _with_stated_notes(variant["tables"], changes.rows, patch)
    result["layers"] = changes.inherited(base["layers"], variant["layers"], patch.get("layers", {}))
    if "blocks" in variant:
        result["blocks"] = blocks = variant["blocks"].without()
        for name, block in blocks.items():
            old = _part(base.get("blocks"), name)
            stated = _part(_part(patch.get("blocks"), name), "layers")
            if old and _has_layers(block):
                blocks[name] = block.without()
                layers = changes.inherited(_part(old, "layers"), block["layers"], stated)
                blocks[name]["layers"] = layers
    return result


class _Changes:
    """The blocks that a variant changes, directly or through others, and the rows of tables."""

    def __init__(self, base: Mapping, variant: Mapping) -> None:
        old, new = base.get("blocks") or {}, variant.get("blocks") or {}
        # Options and settings reach every layer, through the shapes of those before it, too.
        self.everywhere = any(
            _computing(base.get(key)) != _computing(variant.get(key))
            for key in ("options", "settings")
        )
        self.blocks = {k for k in new if _computing(old.get(k)) != _computing(new[k])}
        self.rows = {
            (table, row)
            for table, content in (variant.get("tables") or {}).items()
            for row, cells in _part(content, "rows").items()
            if _columns(base, table) != _columns(variant, table)
            or _part(_part(base.get("tables"), table), "rows").get(row) != cells
        }
        uses = {name: _uses(_part(block, "layers").values()) for name, block in new.items()}
        pending = list(self.blocks)
        users: dict[str, list[str]] = {}
        for name, used in uses.items():
            for block in used:
                users.setdefault(block, []).append(name)
        pending += users.get("", []) if self.blocks else []
        while pending:
            name = pending.pop()
            self.blocks.add(name)
            pending += [block for block in users.get(name, ()) if block not in self.blocks]

    def inherited(self, old: Mapping, new: Mapping, patch: Any) -> Mapping:
        """Return layers with only the figures that are inherited."""
        if not isinstance(new, Mapping):
            return new  # the grammar refuses it
        result = new.without()
        for name, layer in new.items():
            if name not in old or not isinstance(layer, Mapping):
                continue
            stated = _part(patch, name)
            if _has_layers(layer):
                inner = self.inherited(
                    _part(old[name], "layers"), layer["layers"], _part(stated, "layers")
                )
                result[name] = layer.without()
                result[name]["layers"] = inner
            rebuilt = _computing(old[name]) != _computing(layer) or self.is_affected(layer)
            if rebuilt or self.has_changed_row(name, layer):
                result[name] = result[name].without()
                _keep_stated(result[name], stated)
            if rebuilt and (layer.get("table") or isinstance(layer.get("repeat"), dict)):
                # The row still states the figures of the base; null overrides them.
                figures = result[name].get("published", Mapping())
                if isinstance(figures, Mapping):
                    result[name]["published"] = figures.without()
                    result[name]["published"].update(dict.fromkeys((*FIGURES, NOTES)), **figures)
        return result

    def is_affected(self, layer: Mapping) -> bool:
        """Tell whether a change elsewhere affects a layer. An expression may name any block."""
        if self.everywhere:
            return True
        used = _uses([layer])
        return bool(self.blocks) and ("" in used or not used.isdisjoint(self.blocks))

    def has_changed_row(self, name: str, layer: Mapping) -> bool:
        repeated = layer.get("repeat")
        table = repeated.get("table") if isinstance(repeated, dict) else layer.get("table")
        return any(
            (table == changed_table or is_expression(table))
            and (changed_row == name or repeated is not None)
            for changed_table, changed_row in self.rows
            if table is not None
        )


def _with_stated_notes(tables: Mapping, rows: Iterable[tuple[str, str]], patch: Mapping) -> Mapping:
    """Remove the notes on changed rows, except those that the patch states."""
    result = tables.without()
    for table, row in rows:
        if row in _part(result[table], NOTES):
            stated = _part(_part(patch.get("tables"), table), NOTES)
            notes = result[table][NOTES].without(row)
            if row in stated:
                notes.put(row, stated[row], stated)
            result[table] = result[table].without()
            result[table][NOTES] = notes
    return result


def _uses(layers: Iterable[Any]) -> set[str]:
    """Return the blocks that layers use, also within groups; an expression counts as ""."""
    used: set[str] = set()
    for layer in layers:
        block = layer.get("block") if isinstance(layer, Mapping) else None
        if isinstance(block, str) and block:
            used.add("" if is_expression(block) else block)
        if _has_layers(layer):
            used |= _uses(layer["layers"].values())
    return used


def _keep_stated(mapping: Mapping, patch: Any) -> None:
    """Replace ``published`` with what the patch states."""
    mapping.pop("published", None)
    if isinstance(patch, Mapping) and "published" in patch:
        mapping.put("published", patch["published"], patch)


def _computing(value: Any) -> Any:
    """Return a part of a spec without what only describes it."""
    if isinstance(value, dict):
        return {k: _computing(v) for k, v in value.items() if k not in _DESCRIBING}
    return value


def _columns(document: Mapping, table: str) -> Any:
    return _part(document.get("tables"), table).get("columns")


def _has_layers(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("layers"), Mapping)


def _part(value: Any, key: str) -> Mapping:
    """Return a nested mapping, or an empty one: the data has not been validated yet."""
    part = value.get(key) if isinstance(value, dict) else None
    return part if isinstance(part, Mapping) else Mapping()
