"""The accuracy that publishers state of their files: docs/accuracy.csv, with the source of each."""

from __future__ import annotations

import csv
import functools
from typing import NamedTuple

from pages.staging import ROOT


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
    with (ROOT / "docs" / "accuracy.csv").open(newline="") as file:
        rows = [Stated(*row) for row in csv.reader(file)][1:]
    return {(row.source, row.file): row for row in rows}
