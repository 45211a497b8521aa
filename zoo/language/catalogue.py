"""Finds specs by name or path and lays a variant over its family."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from zoo.errors import SpecError, UnknownNameError, suggestion
from zoo.language.document import Location, Mapping, describe, line_of, merge, read
from zoo.language.schema import Spec
from zoo.language.validation import validate

_SECTIONS = (
    "settings",
    "options",
    "tables",
    "blocks",
    "layers",
    "outputs",
    "initializers",
    "published",
)


def folder() -> Path:
    """Return the folder of the specs that zoo ships: in the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "spec"
    return installed if installed.is_dir() else package.parent / "spec"


@functools.cache
def shipped() -> dict[str, Path]:
    """Return model name -> spec file, for every model zoo ships, family by family."""
    found: dict[str, Path] = {}
    for path in sorted(folder().glob("*.yaml")):
        document = read(path)
        for name in document.get("models") or [document.get("name", path.stem)]:
            if name in found:
                raise SpecError(f"{path}: model {name!r} is also in {found[name].name}")
            found[name] = path
    return found


def load(name: str) -> tuple[str, Spec, Mapping]:
    """Load a model: its family's spec with the model's own changes laid over it.

    Args:
        name: A shipped model, or the path of a YAML file; ``file.yaml:model`` names one of several
            models in a file, otherwise the first is taken.

    Returns:
        The model's name, the merged spec, and the merged document, which knows its lines.

    Raises:
        UnknownNameError: No such model.
        SpecError: The file is not a valid spec.
    """
    if _is_path(name):
        path, model = _split(name)
        document = read(path)
        validate(document)
    else:
        if name not in shipped():
            hint = suggestion(name, shipped()) or " See zoo.list_models()."
            hint = hint if not Path(f"{name}.yaml").exists() else f" Did you mean '{name}.yaml'?"
            raise UnknownNameError(f"Unknown model {name!r}.{hint}")
        document, model = _shipped_document(shipped()[name]), name
    models = document.get("models") or {}
    model = model or next(iter(models), document["name"])
    if model not in (models or (document["name"],)):
        known = list(models) or [document["name"]]
        hint = suggestion(model, known) or f" It has: {', '.join(known)}."
        raise UnknownNameError(f"{document.file} has no model {model!r}.{hint}")
    return (model, *_merged(document, model))


@functools.cache
def _shipped_document(path: Path) -> Mapping:
    document = read(path)
    validate(document)
    return document


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or ".yaml" in name or ".yml" in name


def _split(name: str) -> tuple[Path, str]:
    for suffix in (".yaml:", ".yml:"):
        path, found, model = name.rpartition(suffix)
        if found:
            return Path(path + suffix[:-1]), model
    return Path(name), ""


def _merged(document: Mapping, model: str) -> tuple[Spec, Mapping]:
    base = Mapping({key: value for key, value in document.items() if key != "models"})
    base.file, base.line, base.lines = document.file, document.line, document.lines
    for name in reversed(_lineage(document, model)):
        patch = document["models"][name]
        base = _apply(base, patch, ("models", name), document)
    return validate(base), base


def _lineage(document: Mapping, model: str) -> list[str]:
    """The model and those it is based on, nearest first."""
    models = document.get("models") or {}
    lineage: list[str] = []
    while model:
        if model not in models and not lineage:
            return []
        at = ("models", lineage[-1] if lineage else model, "base")
        if model not in models:
            raise _error(document, at, f"unknown model {model!r}.{suggestion(model, models)}")
        if model in lineage:
            raise _error(document, at, f"a cycle: {' -> '.join([*lineage, model])}")
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
                    raise _error(document, (*at, section, key), f"unknown setting.{hint}")
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
    merged = Mapping(old)
    merged.file, merged.line, merged.lines = old.file, old.line, dict(old.lines)
    for name, layer in change.items():
        where = (*at, name)
        if not isinstance(layer, Mapping):
            hint = "; write {when: false} to leave a layer out"
            raise _error(document, where, f"expected a mapping of what changes{hint}")
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
    return merged


def _insert(layers: Mapping, name: str, layer: Mapping, at: Location, document: Mapping) -> None:
    before = layer.get("after")
    if before is None or before not in layers:
        hint = suggestion(name if before is None else before, layers)
        message = (
            f"no layer {name!r} to change.{hint} A new one needs 'after: <layer>'"
            if before is None
            else f"unknown layer {before!r} in 'after'.{hint}"
        )
        raise _error(document, at, message)
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


def _error(document: Mapping, at: Location, message: str) -> SpecError:
    return SpecError(f"{document.file}:{line_of(document, at)}: {describe(at)}: {message}")
