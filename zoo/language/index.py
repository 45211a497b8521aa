"""What is known of every shipped model without expanding it: ``spec/index.json``.

``python -m zoo.language.index`` writes the file anew; a test fails while it is stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.language import shipped


def entries() -> dict[str, dict[str, Any]]:
    """Return model name -> what a list of models shows of it, family by family.

    No framework, NumPy or YAML is imported unless a spec file has changed since the index was
    made; the models of such a file are expanded, so an entry is never stale.

    Returns:
        In the order of :func:`zoo.list_models`. Every entry is a new dict with the keys, in order:
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
    """Return the index as it should be, every model expanded anew."""
    from zoo.language import catalogue

    files: dict[str, Any] = {}
    for name, path in shipped.shipped().items():
        record = files.setdefault(path.name, {"digests": {}, "models": []})
        record["models"].append(_computed(name))
    for name, record in files.items():
        needed = sorted(catalogue.files_read(shipped.folder() / name), key=lambda each: each.name)
        record["digests"] = {each.name: shipped.digest(each) for each in needed}
    lines = ",\n".join(f" {json.dumps(name)}: {_record(files[name])}" for name in files)
    return f'{{"version": {shipped.VERSION}, "files": {{\n{lines}\n}}}}\n'


def write() -> Path:
    """Write the index beside the specs and return its path."""
    path = shipped.folder() / shipped.INDEX
    path.write_text(text(), encoding="utf-8")
    return path


def _record(record: dict[str, Any]) -> str:
    """A line for each model, so that a change is easy to read."""
    models = ",\n   ".join(json.dumps(entry, ensure_ascii=False) for entry in record["models"])
    return f'{{\n  "digests": {json.dumps(record["digests"])},\n  "models": [\n   {models}]}}'


def _computed(name: str) -> dict[str, Any]:
    from zoo.language.graphs import graph  # only a changed file needs it

    made = graph(name)
    paper = made.about["paper"]
    return {
        "model": name,
        "family": made.about["family"],
        "title": made.about["title"],
        "about": made.about["about"],
        "input_shape": list(made.input_shape),
        "parameters": made.num_parameters,
        "macs": made.macs,
        "year": paper.get("year"),
        "paper": paper.get("title", ""),
        "url": paper.get("url"),
    }


if __name__ == "__main__":
    print(write())
