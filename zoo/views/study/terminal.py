"""Shows a study in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

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
    for d in _tables(study.differences):
        parts += [f"[italic]{escape(d)}[/]", _differences(study.differences, d)]
    explained = contents.summary(study.effects)
    if explained:
        parts += ["[italic]shares of the native gap in top-1[/]", _effects(explained)]
    shown = [v for v in study.variance if v.measure == "top1"]
    if shown:
        parts += ["[italic]standard deviation of top-1, by source[/]", _variance(shown)]
    if study.costs:
        parts += ["[italic]seconds of a run, deterministic and not[/]", _costs(study)]
    parts += [f"- {escape(text)}" for text in words.limits(study.differences, study.effects)]
    return Group(*parts)


def _tables(differences: Sequence[Difference]) -> list[str]:
    return list(dict.fromkeys(words.MEASURES[d.measure] for d in differences))


def _differences(differences: Sequence[Difference], measure: str) -> Table:
    shown = [d for d in contents.summary(differences) if words.MEASURES[d.measure] == measure]
    table = _table(["", "pair", "arm"], ["difference", "95%", "p", "TOST p", "seeds"], [""])
    for d in shown:
        f = d.figure
        table.add_row(
            escape(words.where(d.place)),
            f"{escape(words.title(d.a))} − {escape(words.title(d.b))}",
            d.arm,
            words.number(f.mean, True) if f else "",
            words.interval(f, True),
            words.p(d.t_holm),
            words.p(d.equivalence_p),
            str(f.seeds) if f else "0",
            _colored(words.verdict(d)),
        )
    return table


def _effects(explanations: Sequence[Explanation]) -> Table:
    table = _table(["", "pair", "switch"], ["share", "95%", "p"], [""])
    for e in explanations:
        if e.measure != "top1":
            continue
        names = f"{words.title(e.a)} − {words.title(e.b) if e.b else 'aligned'}"
        rows = [(words.switch(x), x.figure, x.t_holm, x.distinguishable) for x in e.effects]
        for number, (name, figure, p, found) in enumerate(rows):
            table.add_row(
                escape(words.where(e.place)) if not number else "",
                escape(names) if not number else "",
                escape(name),
                words.number(figure.mean, True),
                words.interval(figure, True),
                words.p(p),
                "[yellow]distinguishable[/]" if found else "",
            )
        table.add_row("", "", "residual", words.number(e.residual.mean, True),
                      words.interval(e.residual, True) if e.residual.mean else "")  # fmt: skip
        table.add_row("", "", "gap", words.number(e.gap.mean, True), words.interval(e.gap, True))
        table.add_section()
    return table


def _variance(variances: Sequence[Variance]) -> Table:
    table = _table(["", "arm", "source"], ["deviation", "95%", "of the variance"], [""])
    for v in variances:
        for number, c in enumerate(v.components):
            ends = [words.number(x**0.5) for x in (c.low, c.high) if x is not None]
            table.add_row(
                escape(words.where(v.place)) if not number else "",
                v.arm if not number else "",
                c.name,
                words.number(c.variance**0.5),
                " to ".join(ends),
                f"{100 * c.share:.0f} %",
                "estimated below 0" if c.negative else "",
            )
        table.add_section()
    return table


def _costs(study: Evaluation) -> Table:
    table = _table(["", "backend"], ["deterministic", "not", "ratio", "95%"])
    for c in study.costs:
        ends = "" if c.low is None or c.high is None else f"{c.low:.2f} to {c.high:.2f}"
        table.add_row(
            escape(words.where(c.place)),
            escape(words.title(c.backend)),
            f"{c.seconds:.1f} s",
            f"{c.others:.1f} s",
            f"{c.ratio:.2f}",
            ends,
        )
    return table


def _colored(verdict: str) -> str:
    color = {"differs": "yellow", "equivalent": "green"}.get(verdict)
    return f"[{color}]{verdict}[/]" if color else verdict


def _table(left: Sequence[str], right: Sequence[str], last: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", overflow="fold")
    for heading in last:
        table.add_column(heading, overflow="fold")
    return table
