"""An index of the shipped models, so that listing them reads no spec and builds no graph.

The index, ``spec/models.json``, is generated from the specs and the publishers' tables. It is used
only while the hash of all of them is the one in it; otherwise the specs themselves are read. To
generate it anew::

    python -m zoo.api.index
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def folder() -> Path:
    """Return the folder of the specs, in the package or beside it, without reading any."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "spec"
    return installed if installed.is_dir() else package.parent / "spec"


def read() -> dict[str, Entry] | None:
    """Return the entries of the index, or None if it is not that of these specs.

    Returns:
        Model -> entry, family by family. An entry has the model's name, family, title, description,
        input shape, parameters and MACs, the sources that publish weights, and the paper's year,
        title and address.

    Example:
        >>> entry = read()["vgg16"]
        >>> entry["parameters"], entry["year"], entry["weights"]
        (138357544, 2014, ['paddle', 'timm', 'torchvision'])
    """
    try:
        index = json.loads((folder() / "models.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if index["specs"] != specs_hash():
        return None
    return {entry["model"]: entry for entry in index["models"]}


def entry(name: str) -> Entry:
    """Return the entry of a model, from its graph."""
    from zoo.language.graphs import graph
    from zoo.weights.sources import sources

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
        "weights": [table.name for table in sources().values() if name in table.networks],
        "year": paper.get("year"),
        "paper": paper.get("title", ""),
        "url": paper.get("url"),
    }


def generate() -> str:
    """Return the text of the index, from the graphs of all models."""
    from zoo.language.catalogue import shipped

    lines = ",\n".join(json.dumps(entry(name), ensure_ascii=False) for name in shipped())
    return f'{{"specs": "{specs_hash()}", "models": [\n{lines}\n]}}\n'


def specs_hash() -> str:
    """Return a hash of every shipped spec and every publisher's table."""
    digest = hashlib.sha256()
    for path in sorted(folder().rglob("*.yaml")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


if __name__ == "__main__":
    (folder() / "models.json").write_text(generate(), encoding="utf-8")
