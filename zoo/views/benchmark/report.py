"""The benchmark that :func:`zoo.bench` returns: results with their renderings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

from rich.console import Console, Group

from zoo.benchmarking.against import Change
from zoo.benchmarking.results import Results
from zoo.views.benchmark import lines, page, terminal

_WIDTH = 140  # columns, if there is no terminal
_NOTEBOOK = '<pre style="overflow-x: auto; white-space: pre">{code}</pre>'


@dataclass(frozen=True, repr=False)
class Benchmark(Results):
    """The results of a benchmark, with their renderings.

    ``print(benchmark)`` and a REPL show tables, a notebook shows them in color, and
    :meth:`to_html` returns a page with plots. The fields are those of
    :class:`zoo.benchmarking.results.Results`.
    """

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

    def __str__(self) -> str:
        console = Console(width=_WIDTH, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        console = Console(width=_WIDTH, record=True, file=io.StringIO(), highlight=False)
        console.print(self)
        return console.export_html(inline_styles=True, code_format=_NOTEBOOK)
