"""Compares a benchmark with an earlier one of the same cells."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.benchmarking import statistics
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.results import Results
from zoo.benchmarking.statistics import Figure
from zoo.errors import InputError

_SETTINGS = ("threads", "tf32", "limits")
_MACHINE = ("processor", "processors", "governor", "system")


@dataclass(frozen=True)
class Change:
    """What became of a cell.

    Attributes:
        cell: What was measured.
        before, after: Seconds of a run.
        ratio: After, relative to before.
    """

    cell: Cell
    before: Figure
    after: Figure
    ratio: Figure

    @property
    def verdict(self) -> str:
        """``faster`` or ``slower``; ``not distinguishable`` if 1 is in the interval."""
        if self.ratio.low is None or self.ratio.high is None:
            return "not distinguishable"
        if self.ratio.high < 1:
            return "faster"
        return "slower" if self.ratio.low > 1 else "not distinguishable"


def compare(new: Results, old: Results) -> tuple[Change, ...]:
    """Return the changes of all cells that have a time in both.

    Raises:
        InputError: There are none.
    """
    before = {m.cell: m for m in old.cells}
    changes = []
    for measured in new.cells:
        earlier = before.get(measured.cell)
        if earlier is None or earlier.time is None or measured.time is None:
            continue
        ratio = statistics.change(measured.times, earlier.times)
        changes.append(Change(measured.cell, earlier.time, measured.time, ratio))
    if not changes:
        raise InputError("the two benchmarks have no cell in common that has a time in both")
    return tuple(changes)


def remarks(new: Results, old: Results) -> tuple[str, ...]:
    """Return what differs between two benchmarks besides the times.

    Example:
        >>> remarks(Results((), settings={"threads": 1}), Results((), settings={"threads": 2}))
        ('threads: 1, before 2',)
    """
    found = []
    for kind, names in (("settings", _SETTINGS), ("machine", _MACHINE)):
        a, b = getattr(new, kind), getattr(old, kind)
        found += [
            f"{name}: {a.get(name)}, before {b.get(name)}"
            for name in names
            if a.get(name) != b.get(name)
        ]
    packages = [name for name in new.versions if name in old.versions]
    found += [
        f"{name} {new.versions[name]}, before {old.versions[name]}"
        for name in packages
        if new.versions[name] != old.versions[name]
    ]
    return tuple(found)
