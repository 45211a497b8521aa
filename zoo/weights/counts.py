"""The number of arrays of each network: an index that avoids building most graphs.

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
from typing import NamedTuple

from zoo.language import shipped

#: The source that stands for zoo itself: for files that frameworks saved from zoo's models.
OWN = "zoo"


class Count(NamedTuple):
    """What is known of the arrays of a network.

    Attributes:
        smallest: Their number without auxiliary heads.
        largest: Their number with all auxiliary heads.
        head: The number of those in the classifier.
        steps: What their names begin with, if they are zoo's own.
    """

    smallest: int
    largest: int
    head: int
    steps: tuple[str, ...] = ()


#: source -> network -> its arrays
Counts = Mapping[str, Mapping[str, Count]]


def path() -> Path:
    """Return the path of the index."""
    return shipped.folder() / "sources" / "counts.json"


def allow(source: str, network: str, count: int, extra: int = 0) -> bool:
    """Tell whether a file with this many arrays can belong to a network.

    Args:
        source: The name of the source.
        network: The name of the network.
        count: The number of arrays, without those that the source's table leaves out.
        extra: How many of them may be those of another classifier, in place of the network's own.

    Returns:
        False only if the index is up to date and excludes it.
    """
    known = _read().get(source, {}).get(network)
    if known is None:
        return True
    return known.smallest - (known.head if extra else 0) <= count <= known.largest + extra


def allow_parameters(source: str, network: str, count: int) -> bool:
    """Tell whether a file with this many arrays can have a network's parameters alone.

    Args:
        source: As for :func:`allow`, as are the others.
        network: The name of the network.
        count: The number of arrays.

    Returns:
        False only if the index is up to date and excludes it: a batch norm has as many parameters
        as statistics, so that these are at most half of the arrays.
    """
    known = _read().get(source, {}).get(network)
    return known is None or known.smallest <= 2 * count < 2 * known.largest


def steps(network: str) -> tuple[str, ...]:
    """Return what zoo's names of a network's arrays begin with; empty if that is not known."""
    known = _read().get(OWN, {}).get(network)
    return known.steps if known else ()


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
        for network in known[source] if source != OWN else ():
            names.setdefault(network, []).append(source)
    return names


def generate() -> str:
    """Return the text of the index, from the graphs of all networks."""
    from zoo.language import graphs
    from zoo.weights.classifier import parameters
    from zoo.weights.slots import with_heads
    from zoo.weights.sources import sources

    lines = []
    of_sources: list[tuple[str, Iterable[str]]] = [
        (table.name, table.networks) for table in sources().values()
    ]
    for source, networks in (*of_sources, (OWN, shipped.shipped())):
        for network in networks:
            heads, graph = graphs.graph(network).omitted, with_heads(network)
            names = [parameter.name for parameter in graph.parameters]
            parts = dict.fromkeys(name.partition(".")[0] for name in names)
            smallest = sum(name.partition(".")[0] not in heads for name in names)
            steps = [" ".join(parts)] if source == OWN else []
            row = [source, network, smallest, len(names), len(parameters(graph)), *steps]
            lines.append(f"  {json.dumps(row)}")
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
        counts: dict[str, dict[str, Count]] = {}
        for source, network, smallest, largest, head, *steps in index["counts"]:
            known = Count(int(smallest), int(largest), int(head), tuple("".join(steps).split()))
            counts.setdefault(source, {})[network] = known
        return counts
    except (OSError, ValueError, KeyError, TypeError):
        return {}


if __name__ == "__main__":
    from zoo.files import write_text

    write_text(path(), generate())
