"""The accuracy that publishers state of their files: docs/accuracy.csv, with the source of each."""

from __future__ import annotations

import csv
import functools
from typing import NamedTuple

import zoo
from pages.staging import ROOT
from zoo.weights import sources


class Stated(NamedTuple):
    """What a publisher states of a file, in percent of ImageNet's validation images."""

    source: str
    file: str
    input_size: str
    top1: str
    top5: str
    stated_in: str


@functools.cache
def stated() -> dict[tuple[str, str], Stated]:
    """Return (source, URL of a file) -> what its publisher states."""
    path = ROOT / "docs" / "accuracy.csv"
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = [Stated(*row) for row in csv.reader(file)][1:]
    return {(row.source, row.file): row for row in rows}


def of(graph: zoo.Graph) -> list[tuple[str, Stated]]:
    """Return (name of the file, statement) for every file of a network with a statement."""
    found = []
    for source in sources.sources().values():
        network = source.networks.get(graph.name)
        for file in network.published if network else ():
            if row := stated().get((source.name, file.url)):
                found.append((f"{source.name}:{file.tag}" if file.tag else source.name, row))
    return found


def table(rows: list[tuple[str, Stated]]) -> list[str]:
    """Return the lines of a table."""
    lines = ["| accuracy on ImageNet | input | top-1 | top-5 | stated in |"]
    lines.append("|---|--:|--:|--:|---|")
    for name, row in rows:
        where = f"[{row.stated_in.removeprefix('https://')}]({row.stated_in})"
        cells = [f"`{name}`", row.input_size, row.top1, row.top5, where]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
