"""The number of arrays of each published network: an index that avoids building most graphs.

The index is generated from the specs and the publishers' tables, and is used only while their hash
matches. It never changes a result: a network with another number of arrays cannot have the names in
a file. To regenerate it::

    python -m zoo.weights.counts
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from zoo.language import shipped

#: source -> network -> the smallest and the largest number of arrays
Counts = Mapping[str, Mapping[str, tuple[int, int]]]


def path() -> Path:
    """Return the path of the index."""
    return shipped.folder() / "sources" / "counts.json"


def allow(source: str, network: str, count: int) -> bool:
    """Tell whether a file with this many arrays can be of a network.

    Args:
        source: The name of the source.
        network: The name of the network.
        count: The number of arrays, without those that the source's table leaves out.

    Returns:
        False only if the index is up to date and excludes it.
    """
    limits = _read().get(source, {}).get(network)
    return limits is None or limits[0] <= count <= limits[1]


def publishers() -> dict[str, list[str]]:
    """Return network -> the names of the sources that publish weights of it.

    Neither NumPy nor YAML is imported while the index is up to date.
    """
    names: dict[str, list[str]] = {}
    known: Mapping[str, Iterable[str]] = _read()
    if not known:
        from zoo.weights.sources import sources

        known = {table.name: table.networks for table in sources().values()}
    for source in sorted(known):
        for network in known[source]:
            names.setdefault(network, []).append(source)
    return names


def generate() -> str:
    """Return the text of the index, from the graphs of all published networks."""
    from zoo.weights import slots
    from zoo.weights.sources import sources

    lines = []
    for table in sources().values():
        for network in table.networks:
            all_slots = slots.published_slots(table.name, network).values()
            required = sum(not slot.optional for slot in all_slots)
            lines.append(f'  ["{table.name}", "{network}", {required}, {len(all_slots)}]')
    rows = ",\n".join(lines)
    return f'{{"specs": "{specs_hash()}", "counts": [\n{rows}\n]}}\n'


def specs_hash() -> str:
    """Return a hash of every shipped spec and every publisher's table."""
    total = hashlib.sha256()
    for folder in (shipped.folder(), shipped.folder() / "sources"):
        for file in sorted(folder.glob("*.yaml")):
            content = file.read_bytes()
            total.update(f"{file.name} {len(content)}\n".encode() + content)
    return total.hexdigest()


@functools.cache
def _read() -> Counts:
    """Read the index; empty if it is missing, damaged or out of date."""
    try:
        index = json.loads(path().read_text(encoding="utf-8"))
        if index["specs"] != specs_hash():
            return {}
        counts: dict[str, dict[str, tuple[int, int]]] = {}
        for source, network, smallest, largest in index["counts"]:
            counts.setdefault(source, {})[network] = int(smallest), int(largest)
        return counts
    except (OSError, ValueError, KeyError, TypeError):
        return {}


if __name__ == "__main__":
    from zoo.files import write_text

    write_text(path(), generate())
