"""Shows a benchmark in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.markup import escape
from rich.table import Table

from zoo.benchmarking.against import Change
from zoo.benchmarking.results import Results
from zoo.views.benchmark import words

_WIDE = 110  # columns


def render(results: Results, changes: Sequence[Change] = (), others: Sequence[str] = ()) -> Group:
    """Return tables of times, of what happens once, and of changes; then remarks.

    Args:
        results: What was measured.
        changes: Compared with an earlier benchmark.
        others: What differs from that besides times.
    """
    parts: list[Any] = [escape("; ".join(words.stated(results))), _Times(results)]
    if words.once(results):
        parts += ["[italic]once in a process[/]", _once(results)]
    if changes:
        parts += ["[italic]compared with the earlier benchmark[/]", _changes(changes)]
        parts += [f"- {escape(text)}" for text in others]
    for row in words.rows(results):
        for problem in row.measured.problems:
            parts.append(f"[red]✗[/red] {escape(str(row.measured.cell))}: {escape(problem)}")
    parts += [f"- {escape(text)}" for text in words.remarks(results)]
    parts += [
        f"- not available: {escape(cell)}: {escape(why)}" for cell, why in results.missing.items()
    ]
    return Group(*parts)


class _Times:
    """The table of times; in a narrow terminal, without single runs."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _times(self.results, options.max_width >= _WIDE)


def _times(results: Results, wide: bool) -> Table:
    varied = words.varied(results)
    spread = ["p10 to p90"] * wide
    table = _table([*varied, ""], ["time", "95%", *spread, "ratio", "95%", "peak"])
    group = None
    for row in words.rows(results):
        m, time = row.measured, row.measured.time
        cells = [str(getattr(m.cell, field)) for field in varied]
        if group not in (None, m.cell.group):
            table.add_section()
        group = m.cell.group
        if time is None:
            text = "[red]FAIL[/red]" if row.failed else "not measured"
            table.add_row(*cells, escape(m.cell.way), text)
            continue
        ratio = "1" if row.is_baseline else words.digits(row.ratio.value) if row.ratio else ""
        table.add_row(
            *cells,
            escape(m.cell.way),
            words.seconds(time.value) + " !" * bool(m.remarks),
            words.interval(time),
            *[words.span(time.p10 or 0, time.p90 or 0)] * wide,
            ratio,
            "" if row.is_baseline else words.interval(row.ratio, unit=False),
            words.size(m.device_memory or m.memory()),
        )
    return table


def _once(results: Results) -> Table:
    names = words.once(results)
    varied = words.varied(results)
    titles = {"first": "first call", "weights": "setting weights"}
    table = _table([*varied, ""], [titles.get(name, name) for name in names])
    for m in results.cells:
        figures = [m.once(name) for name in names]
        if any(figures):
            cells = [str(getattr(m.cell, field)) for field in varied]
            table.add_row(
                *cells,
                escape(m.cell.way),
                *(words.seconds(f.value if f else None) for f in figures),
            )
    return table


def _changes(changes: Sequence[Change]) -> Table:
    table = _table(["cell"], ["before", "after", "ratio", "95%", ""])
    for change in changes:
        color = {"faster": "green", "slower": "red"}.get(change.verdict)
        verdict = f"[{color}]{change.verdict}[/]" if color else change.verdict
        table.add_row(
            escape(str(change.cell)),
            words.seconds(change.before.value),
            words.seconds(change.after.value),
            words.digits(change.ratio.value),
            words.interval(change.ratio, unit=False),
            verdict,
        )
    return table


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in left:
        table.add_column(heading, overflow="fold", no_wrap=not heading)
    for heading in right:
        table.add_column(heading, justify="right", overflow="fold")
    return table
