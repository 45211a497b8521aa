"""Published tables, read from ``golden/``."""

import csv
from pathlib import Path


def golden(name: str) -> list[dict[str, str]]:
    """The rows of a published table."""
    with (Path(__file__).parent / "golden" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))
