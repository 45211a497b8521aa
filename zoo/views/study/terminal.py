"""Shows a study in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from zoo.comparing.costs import Cost
from zoo.comparing.differences import Difference
from zoo.comparing.effects import Explanation
from zoo.comparing.variance import Variance
from zoo.views.study import contents, words
from zoo.views.study.evaluation import Evaluation


def render(study: Evaluation) -> Group:
    """Return the answers, tables of what they rest on, and what the seeds cannot show."""
    parts: list[Any] = [f"[bold]{escape(contents.headline(study))}[/]", ""]
    for place, sentences in contents.answers(study).items():
        parts.append(escape(f"{place}:"))
        parts += [f"- {escape(text)}" for text in sentences]
    parts += [f"[red]✗[/red] {escape(text)}" for text in contents.failures(study)]
    parts.append("")
    shown = contents.summary(study.differences)
    for measure in dict.fromkeys(words.MEASURES[d.measure] for d in shown):
        same = [d for d in shown if words.MEASURES[d.measure] == measure]
        parts += _tables(measure, same, _differences)
    top1 = [e for e in contents.summary(study.effects) if e.measure == "top1"]
    parts += _tables("shares of the native gap in top-1", top1, _effects)
    sources = [v for v in study.variance if v.measure == "top1"]
    parts += _tables("standard deviation of top-1, by source", sources, _variance)
    parts += _tables("seconds of a run, deterministic and not", study.costs, _costs)
    parts += [f"- {escape(text)}" for text in words.limits(study.differences, study.effects)]
    return Group(*parts)


def _tables(heading: str, items: Iterable[Any], draw: Callable[[list[Any]], Table]) -> list[Any]:
    """Make a table for each place, which so need not be a column."""
    places: dict[str, list[Any]] = {}
    for item in items:
        places.setdefault(words.where(item.place), []).append(item)
    found = ((f"{heading}: {place}", draw(rows)) for place, rows in places.items())
    return [part for title, table in found for part in (f"[italic]{escape(title)}[/]", table, "")]


def _differences(differences: Sequence[Difference]) -> Table:
    table = _table(["arm and pair"], ["mean", "95%", "p", "seeds"], [""])
    for arm in dict.fromkeys(d.arm for d in differences):
        table.add_row(arm)
        for d in differences:
            if d.arm == arm:
                table.add_row(
                    f" {_pair(d.a, d.b)}",
                    words.number(d.figure.mean, True) if d.figure else "",
                    words.interval(d.figure, True),
                    words.p(d.t_holm),
                    str(d.figure.seeds) if d.figure else "0",
                    _colored(words.verdict(d)),
                )
        table.add_section()
    return table


def _effects(explanations: Sequence[Explanation]) -> Table:
    table = _table(["pair and switch"], ["share", "95%", "p"], [""])
    for e in explanations:
        table.add_row(_pair(e.a, e.b or "aligned"))
        for effect in e.effects:
            table.add_row(
                f" {escape(words.switch(effect))}",
                words.number(effect.figure.mean, True),
                words.interval(effect.figure, True),
                words.p(effect.t_holm),
                "[yellow]distinguishable[/]" if effect.distinguishable else "",
            )
        table.add_row(" residual", words.number(e.residual.mean, True),
                      words.interval(e.residual, True) if e.residual.mean else "")  # fmt: skip
        table.add_row(" gap", words.number(e.gap.mean, True), words.interval(e.gap, True))
        table.add_section()
    return table


def _variance(variances: Sequence[Variance]) -> Table:
    table = _table(["arm and source"], ["deviation", "95%", "variance"], [""])
    for v in variances:
        table.add_row(v.arm)
        for c in v.components:
            ends = [words.number(x**0.5) for x in (c.low, c.high) if x is not None]
            table.add_row(
                f" {c.name}",
                words.number(c.variance**0.5),
                " to ".join(ends),
                f"{100 * c.share:.0f}%",
                "estimated below 0" if c.negative else "",
            )
        table.add_section()
    return table


def _costs(costs: Sequence[Cost]) -> Table:
    table = _table(["backend"], ["deterministic", "not", "ratio", "95%"])
    for c in costs:
        ends = "" if c.low is None or c.high is None else f"{c.low:.2f} to {c.high:.2f}"
        table.add_row(
            escape(c.backend), f"{c.seconds:.1f} s", f"{c.others:.1f} s", f"{c.ratio:.2f}", ends
        )
    return table


def _pair(a: str, b: str) -> str:
    return f"{escape(a)} − {escape(b)}"


def _colored(verdict: str) -> str:
    color = {"differs": "yellow", "equivalent": "green"}.get(verdict)
    return f"[{color}]{verdict}[/]" if color else verdict


def _table(left: Sequence[str], right: Sequence[str], last: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False)
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", overflow="fold")
    for heading in last:
        table.add_column(heading, overflow="fold")
    return table
