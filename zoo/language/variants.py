"""Applies a variant to its family: mappings merge, a layer of another kind replaces the old one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from zoo.errors import printable, quoted, suggestion
from zoo.language.document import Location, Mapping, error, merge
from zoo.language.published_figures import without_figures

MAX_LINEAGE = 32  # models in a chain of bases
MAX_MOVES = 5_000_000  # of layers, by all insertions together

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


def lineage(document: Mapping, model: str) -> list[Mapping]:
    """Return the spec of one model of a file as a separate document, and those it is based on.

    Args:
        document: A valid spec file, with ``bases`` if it extends a family; it is not changed.
        model: One of its models, or the family's name if it has none.

    Returns:
        The family itself, and each variant from the first to the model. A variant has only the
        published figures that it states itself: those of its base may not hold for it.

    Raises:
        SpecError: The variant changes something that does not exist, or is based on itself.
    """
    family = document.without("models", "bases")
    places = _places(document, model)
    _check_order(family.get("layers"), ("layers",), document)
    _check_blocks(family.get("blocks"), ("blocks",), document)
    _check_insertions(document, family, places)
    documents = [family]
    for section, name in reversed(places):
        base = without_figures(documents[-1])
        documents.append(_apply(base, document[section][name], (section, name), document))
    return documents


def _places(document: Mapping, model: str) -> list[tuple[str, str]]:
    """Return the section and name of the model and of its bases, nearest first."""
    places = {
        name: (section, name)
        for section in ("bases", "models")
        for name in document.get(section) or ()
    }
    found: list[tuple[str, str]] = []
    while model:
        if model not in places and not found:
            return []
        location = (*(found[-1] if found else places[model]), "base")
        if model not in places:
            hint = suggestion(model, places)
            raise error(document, location, f"unknown model {quoted(model)}{hint}")
        if places[model] in found:
            names = [name for _, name in found]
            cycle = " -> ".join(map(printable, [*names, model]))
            raise error(document, location, f"a cycle: {cycle}")
        if len(found) == MAX_LINEAGE:
            raise error(document, location, f"a chain of more than {MAX_LINEAGE} bases")
        found.append(places[model])
        section, name = places[model]
        model = document[section][name].get("base") or ""
    return found


def _check_insertions(document: Mapping, base: Mapping, places: list[tuple[str, str]]) -> None:
    """Bound the work of inserting layers: each moves those that come after it."""
    patches = [document[section][name] for section, name in places]
    inserted = [_count(patch, "after") for patch in patches]
    if not any(inserted):
        return
    layers = sum(inserted) + _count(base, "")
    if sum(inserted) * layers > MAX_MOVES:
        place = places[next(i for i, count in enumerate(inserted) if count)]
        message = f"{sum(inserted):,} new layers among {layers:,} values need too much work"
        raise error(document, place, message)


def _count(value: Any, key: str) -> int:
    """Count the mappings in a value, at any depth, that have a key; all for an empty key."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    matches = isinstance(value, dict) and (not key or key in value)
    return matches + sum(_count(item, key) for item in items if isinstance(item, dict | list))


def _check_blocks(blocks: Any, location: Location, document: Mapping) -> None:
    for name, block in blocks.items() if isinstance(blocks, dict) else ():
        if isinstance(block, dict):
            _check_order(block.get("layers"), (*location, name, "layers"), document)


def _check_order(layers: Any, location: Location, document: Mapping) -> None:
    """Reject ``after`` in layers that are computed in the order in which they are written."""
    for name, layer in layers.items() if isinstance(layers, dict) else ():
        if not isinstance(layer, dict):
            continue
        if layer.get("after") is not None:
            message = (
                "'after' places a layer that a variant adds to existing ones; these are computed "
                "in the order in which they are written, so move the layer, and leave 'after' out"
            )
            raise error(document, (*location, name, "after"), message)
        _check_order(layer.get("layers"), (*location, name, "layers"), document)


def _apply(base: Mapping, patch: Mapping, location: Location, document: Mapping) -> Mapping:
    if "about" in patch:
        base = _replaced(base, "about", patch["about"])
    for section in (s for s in _SECTIONS if s in patch):
        change = patch[section]
        if section == "settings":
            _check_settings(base.get("settings", {}), patch, location, document)
        if section == "layers":
            change = _layers(base["layers"], change, (*location, section), document)
        if section == "blocks":
            change = _blocks(base.get("blocks", {}), change, (*location, section), document)
        patched = Mapping()
        patched.put(section, change, patch)
        is_replaced = section in ("layers", "blocks")
        base = merge(base.without(section) if is_replaced else base, patched)
    return base


def _check_settings(known: Mapping, patch: Mapping, location: Location, document: Mapping) -> None:
    """Reject a new setting that looks misspelled, because nothing in the variant reads it."""
    for key in patch["settings"]:
        if key not in known and (hint := suggestion(key, known)):
            reads = re.compile(rf"\${re.escape(key)}\b")
            if not any(reads.search(text) for text in _texts(patch)):
                new = f" For a new setting, read ${key} in an expression of the variant."
                raise error(document, (*location, "settings", key), f"unknown setting{hint}{new}")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _blocks(old: Mapping, change: Mapping, location: Location, document: Mapping) -> Mapping:
    merged = merge(old, change) if old else change
    for name, block in change.items():
        if name in old and isinstance(block, Mapping) and "layers" in block:
            inner = (*location, name, "layers")
            merged[name]["layers"] = _layers(old[name]["layers"], block["layers"], inner, document)
    _check_blocks(
        {name: block for name, block in change.items() if name not in old}, location, document
    )
    return merged


def _layers(old: Mapping, change: Mapping, location: Location, document: Mapping) -> Mapping:
    """Apply changes to layers: fields merge, a layer of another kind replaces the old one."""
    if not isinstance(change, Mapping):
        raise error(document, location, f"expected a mapping of layers, got {quoted(change)}")
    merged = old.without()
    for name, layer in change.items():
        layer_location = (*location, name)
        if not isinstance(layer, Mapping):
            hint = "; write {when: false} to leave a layer out"
            raise error(document, layer_location, f"expected a mapping of what changes{hint}")
        if name not in old:
            _insert(merged, name, layer, layer_location, document)
        elif layer.get("after") is not None:
            message = (
                f"layer {quoted(name)} already has a place, so 'after' cannot move it; leave "
                "'after' out, or omit the layer with {when: false} and add it under another name"
            )
            raise error(document, (*layer_location, "after"), message)
        merged.put(name, merged[name], change)
        if name not in old or "op" in layer or "block" in layer:
            _check_order(layer.get("layers"), (*layer_location, "layers"), document)
            merged[name] = layer
        elif "layers" in layer and "layers" in old[name]:
            inner_location = (*layer_location, "layers")
            inner = _layers(old[name]["layers"], layer["layers"], inner_location, document)
            merged[name] = merge(old[name].without("layers"), _replaced(layer, "layers", inner))
        else:
            merged[name] = merge(old[name], layer)
    return merged


def _insert(
    layers: Mapping, name: str, layer: Mapping, location: Location, document: Mapping
) -> None:
    before = layer.get("after")
    if not isinstance(before, str) or before not in layers:
        hint = suggestion(name if before is None else str(before), layers)
        message = (
            f"no layer {quoted(name)} to change{hint or '.'} A new one needs 'after: <layer>'."
            if before is None
            else f"unknown layer {quoted(before)} in 'after'{hint}"
        )
        raise error(document, location, message)
    items = list(layers.items())
    index = [key for key, _ in items].index(before) + 1
    items.insert(index, (name, layer))
    layers.clear()
    layers.update(items)


def _replaced(mapping: Mapping, key: str, value: Any) -> Mapping:
    changed = mapping.without(key)
    changed[key] = value
    return changed
