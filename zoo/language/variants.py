"""Lays a variant over its family: mappings merge, a layer of another kind replaces the old one."""

from __future__ import annotations

from typing import Any

from zoo.errors import suggestion
from zoo.language.document import Location, Mapping, error, merge

_SECTIONS = (
    "settings",
    "options",
    "tables",
    "blocks",
    "layers",
    "outputs",
    "initializers",
    "preprocessing",
    "classes",
    "published",
)


def lay(document: Mapping, model: str) -> Mapping:
    """Return the spec of one model of a file, as a document of its own.

    Args:
        document: A valid spec file; it is not changed.
        model: One of its models, or the family's name if it has none.

    Raises:
        SpecError: The variant changes what is not there, or is based on itself.
    """
    base = Mapping({key: value for key, value in document.items() if key != "models"})
    base.file, base.line, base.lines = document.file, document.line, document.lines
    for name in reversed(_lineage(document, model)):
        patch = document["models"][name]
        base = _apply(base, patch, ("models", name), document)
    return base


def _lineage(document: Mapping, model: str) -> list[str]:
    """The model and those it is based on, nearest first."""
    models = document.get("models") or {}
    lineage: list[str] = []
    while model:
        if model not in models and not lineage:
            return []
        at = ("models", lineage[-1] if lineage else model, "base")
        if model not in models:
            raise error(document, at, f"unknown model {model!r}.{suggestion(model, models)}")
        if model in lineage:
            raise error(document, at, f"a cycle: {' -> '.join([*lineage, model])}")
        lineage.append(model)
        model = models[model].get("base") or ""
    return lineage


def _apply(base: Mapping, patch: Mapping, at: Location, document: Mapping) -> Mapping:
    if "about" in patch:
        base = _replaced(base, "about", patch["about"])
    for section in (s for s in _SECTIONS if s in patch):
        change = patch[section]
        if section == "settings":
            known = base.get("settings", {})
            for key in change:
                if key not in known:
                    hint = suggestion(key, known)
                    raise error(document, (*at, section, key), f"unknown setting.{hint}")
        if section == "layers":
            change = _layers(base["layers"], change, (*at, section), document)
        if section == "blocks":
            change = _blocks(base.get("blocks", {}), change, (*at, section), document)
        patched = Mapping({section: change})
        patched.lines = {section: patch.lines[section]}
        whole = section in ("layers", "blocks")
        base = merge(_without(base, section) if whole else base, patched)
    return base


def _blocks(old: Mapping, change: Mapping, at: Location, document: Mapping) -> Mapping:
    merged = merge(old, change) if old else change
    for name, block in change.items():
        if name in old and isinstance(block, Mapping) and "layers" in block:
            where = (*at, name, "layers")
            merged[name]["layers"] = _layers(old[name]["layers"], block["layers"], where, document)
    return merged


def _layers(old: Mapping, change: Mapping, at: Location, document: Mapping) -> Mapping:
    """Lay changed layers over old ones: fields merge, a layer of another kind replaces it."""
    if not isinstance(change, Mapping):
        raise error(document, at, f"expected a mapping of layers, got {change!r}")
    merged = Mapping(old)
    merged.file, merged.line, merged.lines = old.file, old.line, dict(old.lines)
    for name, layer in change.items():
        where = (*at, name)
        if not isinstance(layer, Mapping):
            hint = "; write {when: false} to leave a layer out"
            raise error(document, where, f"expected a mapping of what changes{hint}")
        merged.lines[name] = change.lines[name]
        if name not in old:
            _insert(merged, name, layer, where, document)
        elif "op" in layer or "block" in layer:
            merged[name] = layer
        elif "layers" in layer and "layers" in old[name]:
            inner = _layers(old[name]["layers"], layer["layers"], (*where, "layers"), document)
            merged[name] = merge(_without(old[name], "layers"), _replaced(layer, "layers", inner))
        else:
            merged[name] = merge(old[name], layer)
        if name in old and "published" not in layer:
            # What the paper states is of its own layer, not of a changed one.
            merged[name] = _without(merged[name], "published")
    return merged


def _insert(layers: Mapping, name: str, layer: Mapping, at: Location, document: Mapping) -> None:
    before = layer.get("after")
    if not isinstance(before, str) or before not in layers:
        hint = suggestion(name if before is None else str(before), layers)
        message = (
            f"no layer {name!r} to change.{hint} A new one needs 'after: <layer>'"
            if before is None
            else f"unknown layer {before!r} in 'after'.{hint}"
        )
        raise error(document, at, message)
    items = list(layers.items())
    index = [key for key, _ in items].index(before) + 1
    items.insert(index, (name, layer))
    layers.clear()
    layers.update(items)


def _without(mapping: Mapping, key: str) -> Mapping:
    kept = Mapping({k: v for k, v in mapping.items() if k != key})
    kept.file, kept.line, kept.lines = mapping.file, mapping.line, dict(mapping.lines)
    return kept


def _replaced(mapping: Mapping, key: str, value: Any) -> Mapping:
    changed = _without(mapping, key)
    changed[key] = value
    return changed
