"""Facts about every shipped model that need no expansion: ``spec/index.json``.

``python -m zoo.language.index`` regenerates the file; a test fails while it is stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.language import shipped


def entries() -> dict[str, dict[str, Any]]:
    """Return model name -> the facts that a list of models shows, family by family.

    No framework, NumPy or YAML is imported unless a spec file has changed since the index was
    made; the models of such a file are expanded, so an entry is never stale.

    Returns:
        The entries, in the order of :func:`zoo.list_models`. Each is a new dict with these keys:
        ``model`` (str), ``family`` (str), ``title`` (str or None), ``about`` (str or None),
        ``input_shape`` ([channels, height, width]), ``parameters`` (int), ``macs`` (int),
        ``year`` (int or None), ``paper`` (str, empty if there is none), ``url`` (str or None).

    Example:
        >>> entries()["vgg16"]["parameters"]
        138357544
    """
    recorded = shipped.records()
    known = {entry["model"]: entry for file in recorded.values() for entry in file}
    return {
        name: dict(known[name]) if path.name in recorded else _computed(name)
        for name, path in shipped.shipped().items()
    }


def text() -> str:
    """Return the up-to-date text of the index, after expanding every model."""
    from zoo.language import catalog

    files: dict[str, Any] = {}
    for name, path in shipped.shipped().items():
        record = files.setdefault(path.name, {"digests": {}, "models": []})
        record["models"].append(_computed(name))
    for name, record in files.items():
        needed = sorted(catalog.files_read(shipped.folder() / name), key=lambda path: path.name)
        record["digests"] = {path.name: shipped.digest(path) for path in needed}
    lines = ",\n".join(f" {json.dumps(name)}: {_record(files[name])}" for name in files)
    return f'{{"version": {shipped.VERSION}, "files": {{\n{lines}\n}}}}\n'


def write() -> Path:
    """Write the index to the folder of the specs, and return its path."""
    path = shipped.folder() / shipped.INDEX
    path.write_text(text(), encoding="utf-8")
    return path


def _record(record: dict[str, Any]) -> str:
    """Write one line for each model, so that diffs are easy to read."""
    models = ",\n   ".join(json.dumps(entry, ensure_ascii=False) for entry in record["models"])
    return f'{{\n  "digests": {json.dumps(record["digests"])},\n  "models": [\n   {models}]}}'


def _computed(name: str) -> dict[str, Any]:
    from zoo.language.graphs import graph  # imported only for a changed file

    network = graph(name)
    paper = network.about["paper"]
    return {
        "model": name,
        "family": network.about["family"],
        "title": network.about["title"],
        "about": network.about["about"],
        "input_shape": list(network.input_shape),
        "parameters": network.num_parameters,
        "macs": network.macs,
        "year": paper.get("year"),
        "paper": paper.get("title", ""),
        "url": paper.get("url"),
    }


if __name__ == "__main__":
    print(write())
