"""Published tables, read from ``golden/``."""

import csv
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "golden"


def golden(name: str) -> list[dict[str, str]]:
    """The rows of a published table."""
    with (FOLDER / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class Count(NamedTuple):
    """A published count of trainable parameters."""

    model: str
    aux: bool
    parameters: int

    def __str__(self) -> str:
        return self.model + " with aux" * self.aux


#: of every table in golden/parameters, one a family
COUNTS = [
    Count(row["model"], row["aux"] == "yes", int(row["parameters"]))
    for path in sorted((FOLDER / "parameters").glob("*.csv"))
    for row in golden(f"parameters/{path.stem}")
]
#: of the first module alone, from a published per-layer summary
INCEPTION_3A = 163_696
