"""Lays a variant over its family: mappings merge, a layer of another kind replaces the old one.

What a paper states of a network does not hold for one that computes something else. Which figures
a variant keeps is decided in :mod:`zoo.language.inheritance`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from zoo.errors import printable, quoted, suggestion
from zoo.language import inheritance
from zoo.language.document import Location, Mapping, error, merge

MAX_LINEAGE = 32  # models that one is based on, one on another
MAX_MOVES = 5_000_000  # layers that insertions may move in all

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
        document: A valid spec file, with ``bases`` if it extends a family; it is not changed.
        model: One of its models, or the family's name if it has none.

    Raises:
        SpecError: The variant changes what is not there, or is based on itself.
    """
    base = document.without("models", "bases")
    lineage = _lineage(document, model)
    _check_insertions(document, base, lineage)
    for section, name in reversed(lineage):
        base = _apply(base, document[section][name], (section, name), document)
    return base


def _lineage(document: Mapping, model: str) -> list[tuple[str, str]]:
    """The model and those it is based on, nearest first: in which section, and its name."""
    places = {
        name: (section, name)
        for section in ("bases", "models")
        for name in document.get(section) or ()
    }
    lineage: list[tuple[str, str]] = []
    while model:
        if model not in places and not lineage:
            return []
        at = (*(lineage[-1] if lineage else places[model]), "base")
        if model not in places:
            hint = suggestion(model, places)
            raise error(document, at, f"unknown model {quoted(model)}.{hint}")
        if places[model] in lineage:
            names = [name for _, name in lineage]
            raise error(document, at, f"a cycle: {' -> '.join(map(printable, [*names, model]))}")
        if len(lineage) == MAX_LINEAGE:
            raise error(document, at, f"based on more than {MAX_LINEAGE} models, one on another")
        lineage.append(places[model])
        section, name = places[model]
        model = document[section][name].get("base") or ""
    return lineage


def _check_insertions(document: Mapping, base: Mapping, lineage: list[tuple[str, str]]) -> None:
    """Bound the work of inserting layers: each moves those that come after it."""
    patches = [document[section][name] for section, name in lineage]
    inserted = [_count(patch, "after") for patch in patches]
    if not any(inserted):
        return
    layers = sum(inserted) + _count(base, "")
    if sum(inserted) * layers > MAX_MOVES:
        place = lineage[next(i for i, count in enumerate(inserted) if count)]
        message = f"{sum(inserted):,} new layers among {layers:,} values need too much work"
        raise error(document, place, message)


def _count(value: Any, key: str) -> int:
    """Count the mappings in a value, however deep, that have a key; an empty one counts all."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = isinstance(value, dict) and (not key or key in value)
    return own + sum(_count(item, key) for item in items if isinstance(item, dict | list))


def _apply(base: Mapping, patch: Mapping, at: Location, document: Mapping) -> Mapping:
    original = base
    if "about" in patch:
        base = _replaced(base, "about", patch["about"])
    for section in (s for s in _SECTIONS if s in patch):
        change = patch[section]
        if section == "settings":
            _check_settings(base.get("settings", {}), patch, at, document)
        if section == "layers":
            change = _layers(base["layers"], change, (*at, section), document)
        if section == "blocks":
            change = _blocks(base.get("blocks", {}), change, (*at, section), document)
        patched = Mapping()
        patched.put(section, change, patch)
        whole = section in ("layers", "blocks")
        base = merge(base.without(section) if whole else base, patched)
    return inheritance.without_foreign_figures(original, base, patch)


def _check_settings(known: Mapping, patch: Mapping, at: Location, document: Mapping) -> None:
    """Refuse a new setting that looks like a misspelt one: nothing in the variant reads it."""
    for key in patch["settings"]:
        if key not in known and (hint := suggestion(key, known)):
            reads = re.compile(rf"\${re.escape(key)}\b")
            if not any(reads.search(text) for text in _texts(patch)):
                new = f" For a new setting, read ${key} in an expression of the variant."
                raise error(document, (*at, "settings", key), f"unknown setting.{hint}{new}")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


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
        raise error(document, at, f"expected a mapping of layers, got {quoted(change)}")
    merged = old.without()
    for name, layer in change.items():
        where = (*at, name)
        if not isinstance(layer, Mapping):
            hint = "; write {when: false} to leave a layer out"
            raise error(document, where, f"expected a mapping of what changes{hint}")
        if name not in old:
            _insert(merged, name, layer, where, document)
        merged.put(name, merged[name], change)
        if name not in old or "op" in layer or "block" in layer:
            merged[name] = layer
        elif "layers" in layer and "layers" in old[name]:
            inner = _layers(old[name]["layers"], layer["layers"], (*where, "layers"), document)
            merged[name] = merge(old[name].without("layers"), _replaced(layer, "layers", inner))
        else:
            merged[name] = merge(old[name], layer)
    return merged


def _insert(layers: Mapping, name: str, layer: Mapping, at: Location, document: Mapping) -> None:
    before = layer.get("after")
    if not isinstance(before, str) or before not in layers:
        hint = suggestion(name if before is None else str(before), layers)
        message = (
            f"no layer {quoted(name)} to change.{hint} A new one needs 'after: <layer>'"
            if before is None
            else f"unknown layer {quoted(before)} in 'after'.{hint}"
        )
        raise error(document, at, message)
    items = list(layers.items())
    index = [key for key, _ in items].index(before) + 1
    items.insert(index, (name, layer))
    layers.clear()
    layers.update(items)


def _replaced(mapping: Mapping, key: str, value: Any) -> Mapping:
    changed = mapping.without(key)
    changed[key] = value
    return changed
