"""The benchmark that :func:`zoo.bench` returns: results with their renderings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from rich.console import Group

from zoo.benchmarking.against import Change
from zoo.benchmarking.results import Results
from zoo.verification.rendering.display import ShownByRich
from zoo.views.benchmark import lines, page, terminal


@dataclass(frozen=True, repr=False)
class Benchmark(ShownByRich, Results):
    """The results of a benchmark, with their renderings.

    ``print(benchmark)`` and a REPL show tables, a notebook shows them in color, and
    :meth:`to_html` returns a page with plots. The fields are those of
    :class:`zoo.benchmarking.results.Results`.
    """

    columns: ClassVar[int] = 140

    @classmethod
    def of(cls, results: Results) -> Self:
        """Make a benchmark of its results."""
        return cls(**{field.name: getattr(results, field.name) for field in fields(Results)})

    def to_html(self, changes: Sequence[Change] = (), others: Sequence[str] = ()) -> str:
        """Return a self-contained HTML page with plots, which loads nothing from a network.

        Args:
            changes: Compared with an earlier benchmark, as ``against.compare`` returns them.
            others: What differs from that besides times.

        Raises:
            BackendError: Jinja or Matplotlib is not installed.
        """
        return page.page(self, changes, others)

    def to_csv(self) -> str:
        """Return a line of each cell, times in seconds and sizes in bytes."""
        return lines.render(self)

    def __rich__(self) -> Group:
        return terminal.render(self)
