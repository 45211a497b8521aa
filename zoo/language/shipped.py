"""The specs that zoo ships, found without reading YAML.

``spec/index.json`` records the models of every spec file under a digest of the file's bytes. A
record is used only while the digest matches; the models of a changed file are read from its YAML.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from zoo.errors import SpecError

INDEX = "index.json"
VERSION = 1


def folder() -> Path:
    """Return the folder of zoo's specs: in the package, or next to it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "spec"
    return installed if installed.is_dir() else package.parent / "spec"


@functools.cache
def shipped() -> dict[str, Path]:
    """Return model name -> spec file, for every model zoo ships, family by family.

    Raises:
        SpecError: Two spec files have a model of the same name.
    """
    recorded = records()
    files: dict[str, Path] = {}
    for path in sorted(folder().glob("*.yaml")):
        names = [entry["model"] for entry in recorded.get(path.name, ())] or _names_in(path)
        for name in names:
            if name in files:
                raise SpecError(f"{path}: model {name!r} is also in {files[name].name}")
            files[name] = path
    return files


def records() -> dict[str, list[dict[str, Any]]]:
    """Return spec file name -> the index's entries, for the files that have not changed.

    A file that takes blocks or models from another one depends on that file's bytes, too.
    """
    try:
        index = json.loads((folder() / INDEX).read_bytes())
        assert index["version"] == VERSION
        digests = {name: digest(folder() / name) for name in index["files"]}
        return {
            name: record["models"]
            for name, record in index["files"].items()
            if record["digests"] == {file: digests.get(file) for file in record["digests"]}
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError):
        return {}  # a missing or damaged index: the models are read from the YAML


def digest(path: Path) -> str | None:
    """Return a digest of a file's bytes, or None if the file cannot be read.

    The kind of line ending does not matter: a checkout may convert it.
    """
    try:
        return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:32]
    except OSError:
        return None


def _names_in(path: Path) -> list[str]:
    from zoo.language import document, model_tables  # imported only for a changed file

    content = document.read(path)
    models = content.get("models") or {content.get("name"): None}
    names = model_tables.names(models)
    if not names or not all(isinstance(name, str) for name in names):
        raise SpecError(f"{path}: expected a 'name', and 'models' as a mapping")
    return names
