"""Finds specs by name or path."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from zoo.errors import (
    MAX_QUOTED,
    UnknownNameError,
    listed,
    printable,
    quoted,
    shortened,
    suggestion,
)
from zoo.language import variants
from zoo.language.document import Mapping, error, read
from zoo.language.schema import Spec
from zoo.language.shipped import folder, shipped
from zoo.language.validation import validate, validate_extension

MAX_FILES = 8  # that one file may need, each by the one before


def files_read(path: Path) -> list[Path]:
    """Return a valid spec file and every other one that it takes blocks or models from."""
    document = read(path)
    other = document.get("extends") or document.get("blocks_from")
    if other is None:
        return [path]
    places = (path.parent, folder())
    return [path, *files_read(next(p for f in places if (p := f / f"{other}.yaml").is_file()))]


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
        document = _read(path)
    else:
        if name not in shipped():
            family = [each for each, path in shipped().items() if path.stem == name]
            hint = (
                f" It is a family: {', '.join(family)}." if family else suggestion(name, shipped())
            )
            hint = hint or " See zoo.list_models()."
            if _is_file(Path(f"{name}.yaml")):
                hint = f" Did you mean {quoted(f'{name}.yaml')}?"
            raise UnknownNameError(f"Unknown model {quoted(name)}.{hint}")
        document, model = _shipped_document(shipped()[name]), name
    models = document.get("models") or {}
    model = model or next(iter(models), document["name"])
    if model not in (models or (document["name"],)):
        known = list(models) or [document["name"]]
        hint = suggestion(model, known) or f" It has: {listed(known)}."
        file = shortened(printable(document.file), MAX_QUOTED)
        raise UnknownNameError(f"{file} has no model {quoted(model)}.{hint}")
    merged = variants.lay(document, model)
    return model, validate(merged), merged


@functools.cache
def _shipped_document(path: Path) -> Mapping:
    return _read(path)


def _read(path: Path, readers: tuple[Path, ...] = ()) -> Mapping:
    """Read and check a file, and give it what it takes from another."""
    document = read(path)
    if "extends" in document:
        validate_extension(document)
        return _extending(document, _other("extends", document, path, readers))
    validate(document)
    if document.get("blocks_from") is None:
        return document
    return _with_blocks(document, _other("blocks_from", document, path, readers))


def _other(key: str, document: Mapping, path: Path, readers: tuple[Path, ...]) -> Mapping:
    """Read the file that a file names under a key."""
    readers = (*readers, path.resolve())
    if len(readers) >= MAX_FILES:
        raise error(document, (key,), f"a chain of more than {MAX_FILES} files")
    name, places = document[key], (path.parent, folder())
    other = next((each for place in places if _is_file(each := place / f"{name}.yaml")), None)
    if other is None or other.resolve() in readers:
        known = {each.stem for place in places for each in place.glob("*.yaml")}
        file = f"{shortened(name, MAX_QUOTED)}.yaml"
        unknown = f"no {file} beside this file or among zoo's.{suggestion(name, known)}"
        raise error(document, (key,), f"a cycle: {file} needs this file" if other else unknown)
    return _read(other, readers)


def _extending(document: Mapping, family: Mapping) -> Mapping:
    """Make a document of a family's, whose models are another's own and may be based on it."""
    bases = {**family.get("bases", {}), **family.get("models", {})}
    for name in document["models"]:
        if name in bases or (name == family["name"] and not bases):
            at = ("models", name)
            raise error(document, at, f"{document['extends']}.yaml has a model of that name")
    whole = family.without("models")
    for key in document.keys() - {"extends"}:
        whole.put(key, document[key], document)
    whole["bases"] = bases
    return whole


def _with_blocks(document: Mapping, other: Mapping) -> Mapping:
    """Give a document another's blocks; of two of one name its own is the one."""
    blocks = Mapping(file=document.file)
    for each in (other.get("blocks", blocks), document.get("blocks", blocks)):
        for name, block in each.items():
            blocks.put(name, block, each)
    document["blocks"] = blocks
    del document["blocks_from"]  # from here on the document stands alone, as in saved weights
    return document


def _is_file(path: Path) -> bool:
    """Tell whether there is such a file; there is none of a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or ".yaml" in name.lower() or ".yml" in name.lower()


def _split(name: str) -> tuple[Path, str]:
    """Split ``file.yaml:model``."""
    match = re.fullmatch(r"(.+\.ya?ml):(\w+)", name, re.IGNORECASE | re.DOTALL)
    return (Path(match[1]), match[2]) if match else (Path(name), "")
