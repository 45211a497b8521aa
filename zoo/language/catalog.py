"""Finds specs by name or path."""

from __future__ import annotations

import fnmatch
import functools
import re
from pathlib import Path

from zoo.errors import (
    MAX_QUOTED,
    SpecError,
    UnknownNameError,
    listed,
    printable,
    quoted,
    shortened,
    suggestion,
)
from zoo.language.document import Mapping, error, read
from zoo.language.inheritance import resolve
from zoo.language.model_tables import with_rows
from zoo.language.schema import Spec
from zoo.language.shipped import folder, shipped
from zoo.language.validation import validate, validate_extension

#: Ends of the names of files of weights, which are no networks.
WEIGHTS = frozenset(
    ".safetensors .pdparams .pdema .pdiparams .h5 .hdf5 .keras .msgpack .onnx .caffemodel .index "
    ".pth .pt .bin .ckpt .tar".split()
)

MAX_FILES = 8  # in a chain of files that extend, or take blocks from, one another


def files_read(path: Path) -> list[Path]:
    """Return a valid spec file and all files that it takes blocks or models from."""
    document = read(path)
    source = document.get("extends") or document.get("blocks_from")
    if source is None:
        return [path]
    folders = (path.parent, folder())
    candidates = (f / f"{source}.yaml" for f in folders)
    return [path, *files_read(next(filter(Path.is_file, candidates)))]


def files_of(name: str) -> list[Path]:
    """Return the files that the spec of a model is in; none if there is no such model.

    Args:
        name: As for :func:`load`.

    Example:
        >>> [file.name for file in files_of("vgg16")]
        ['vgg.yaml']
    """
    path = _split(name)[0] if _is_path(name) else shipped().get(name)
    return files_read(path) if path is not None and path.is_file() else []


def load(name: str) -> tuple[str, Spec, Mapping]:
    """Load a model: the spec of its family, with the changes of the model applied.

    Args:
        name: A shipped model, or the path of a YAML file; ``file.yaml:model`` names one of several
            models in a file, otherwise the first is loaded.

    Returns:
        The model's name, the merged spec, and the merged document, which knows its lines.

    Raises:
        UnknownNameError: No such model.
        SpecError: The file is not a valid spec.
    """
    if Path(name).suffix.lower() in WEIGHTS:
        raise UnknownNameError(
            f"{quoted(name)} is a file of weights, not a network: name the network, and pass the "
            "file as its weights"
        )
    if _is_path(name):
        path, model = _split(name)
        if not _exists(path):
            shown = shortened(printable(str(path)), MAX_QUOTED)
            raise SpecError(f"{shown}: no such file{_instead_of(path)}")
        document = _read(path)
    else:
        if name not in shipped():
            hint = _of_several(name) or suggestion(name, shipped()) or ". See zoo.list_models()."
            if _is_file(Path(f"{name}.yaml")):
                hint = f". Did you mean {quoted(f'{name}.yaml')}?"
            raise UnknownNameError(f"unknown model {quoted(name)}{hint}")
        document, model = _shipped_document(shipped()[name]), name
    models = document.get("models") or {}
    model = model or next(iter(models), document["name"])
    if model not in (models or (document["name"],)):
        known = list(models) or [document["name"]]
        hint = suggestion(model, known) or f". It has: {listed(known)}."
        file = shortened(printable(document.file), MAX_QUOTED)
        raise UnknownNameError(f"{file} has no model {quoted(model)}{hint}")
    return model, *resolve(document, model)


def is_pattern(name: str) -> bool:
    """Tell whether a name stands for several models, as for :func:`zoo.list_models`.

    Example:
        >>> is_pattern("vgg*"), is_pattern("vgg16"), is_pattern("specs/vgg*.yaml")
        (True, False, False)
    """
    return not _is_path(name) and any(sign in name for sign in "*?[")


def _of_several(name: str) -> str:
    """Return a hint for a pattern or the name of a family, which stand for several models."""
    if is_pattern(name):
        matches = fnmatch.filter(shipped(), name)
        return f". It is a pattern for several models: {listed(matches)}." if matches else ""
    family = [model for model, path in shipped().items() if path.stem == name]
    return f". It is a family: {', '.join(family)}." if family else ""


def _instead_of(path: Path) -> str:
    """Suggest what may be meant by the path of a file that does not exist."""
    near = [] if path.stem in shipped() else [file.name for file in path.parent.glob("*.y*ml")]
    model = suggestion(path.stem, shipped()).replace("mean", "mean the model")
    return suggestion(path.name, near) or model


@functools.cache
def _shipped_document(path: Path) -> Mapping:
    return _read(path)


def _read(path: Path, chain: tuple[Path, ...] = ()) -> Mapping:
    """Read and validate a file, with the blocks or models that it takes from another file."""
    document = read(path)
    if "extends" in document:
        validate_extension(document)
        family = _read_source("extends", document, path, chain)
        return _extended(with_rows(document, family.get("settings", ())), family)
    validate(document)
    document = with_rows(document, document.get("settings", ()))
    if document.get("blocks_from") is None:
        return document
    return _with_blocks(document, _read_source("blocks_from", document, path, chain))


def _read_source(key: str, document: Mapping, path: Path, chain: tuple[Path, ...]) -> Mapping:
    """Read the file that the value of a key names."""
    chain = (*chain, path.resolve())
    if len(chain) >= MAX_FILES:
        raise error(document, (key,), f"a chain of more than {MAX_FILES} files")
    name, folders = document[key], (path.parent, folder())
    source = next(filter(_is_file, (f / f"{name}.yaml" for f in folders)), None)
    if source is None or source.resolve() in chain:
        names = {file.stem for f in folders for file in f.glob("*.yaml")}
        file = f"{shortened(name, MAX_QUOTED)}.yaml"
        unknown = (
            f"there is no {file} in the same folder or among zoo's specs{suggestion(name, names)}"
        )
        raise error(document, (key,), f"a cycle: {file} needs this file" if source else unknown)
    return _read(source, chain)


def _extended(document: Mapping, family: Mapping) -> Mapping:
    """Return a family's document with the models of an extension, and its own models as bases."""
    bases = {**family.get("bases", {}), **family.get("models", {})}
    for name in document["models"]:
        if name in bases or (name == family["name"] and not bases):
            location = ("models", name)
            raise error(document, location, f"{document['extends']}.yaml has a model of that name")
    extended = family.without("models")
    for key in document.keys() - {"extends"}:
        extended.put(key, document[key], document)
    extended["bases"] = bases
    return extended


def _with_blocks(document: Mapping, source: Mapping) -> Mapping:
    """Add the blocks of another document; a block of the same name is not replaced."""
    blocks = Mapping(file=document.file)
    for mapping in (source.get("blocks", blocks), document.get("blocks", blocks)):
        for name, block in mapping.items():
            blocks.put(name, block, mapping)
    document["blocks"] = blocks
    del document["blocks_from"]  # the document is now self-contained, as in saved weights
    return document


def _is_file(path: Path) -> bool:
    """Like ``Path.is_file``, but False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _exists(path: Path) -> bool:
    """Like ``Path.exists``, but True for a name that no file can have: its reader says why."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return True


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or ".yaml" in name.lower() or ".yml" in name.lower()


def _split(name: str) -> tuple[Path, str]:
    """Split ``file.yaml:model``."""
    match = re.fullmatch(r"(.+\.ya?ml):(\w+)", name, re.IGNORECASE | re.DOTALL)
    return (Path(match[1]), match[2]) if match else (Path(name), "")
