"""What a benchmark is to measure, and the parts that machines measure of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.benchmarking.cells import Cell
from zoo.benchmarking.harness import Limits
from zoo.benchmarking.results import Round
from zoo.graphs.graph import Graph

#: Measures a cell in a round; what tests put in place of a process.
Measure = Callable[[Cell, Path, int], Round]


@dataclass(frozen=True)
class Request:
    """What to measure, and for how long; each checked.

    Attributes:
        graphs: The networks by name.
        cells: What to measure.
        missing: See :class:`zoo.benchmarking.results.Results`.
        threads: For every framework.
        rounds: Processes of each cell, at least.
        until: Go on until the intervals are so narrow, relatively; None for ``rounds`` alone.
        budget: Seconds after which no process is started; None for any number.
        seed: Of weights and of the order.
        baseline: ``torch`` or ``torch:eager``; None for the first cell of each group.
        limits: How long each process runs its cell.
    """

    graphs: Mapping[str, Graph]
    cells: Sequence[Cell]
    missing: Mapping[Cell, str] = field(default_factory=dict)
    threads: int = 1
    rounds: int = 5
    until: float | None = None
    budget: float | None = None
    seed: int = 0
    baseline: str | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Series:
    """Cells that one machine measures, one after another.

    Attributes:
        number: Of the round; 0 for proofs in float64, without times.
        cells: Their indexes, in the order of the processes.
    """

    number: int
    cells: tuple[int, ...]

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"round {self.number}" if self.number else "proof in float64"


@dataclass(frozen=True)
class Done:
    """A cell that was measured: the number of its series, its index, and what was found."""

    number: int
    index: int
    round: Round
