"""Writes a study as CSV: a line of each run, and a line of each estimate."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from zoo.comparing.costs import Cost
from zoo.comparing.differences import Difference
from zoo.comparing.effects import Explanation
from zoo.comparing.pairing import Place, status
from zoo.comparing.results import Trained
from zoo.comparing.statistics import Figure
from zoo.comparing.variance import Variance


def runs(trained: Iterable[Trained], arms: Iterable[Sequence[str]]) -> str:
    """Return the text of a CSV file with a line of each run; what is not known is empty.

    Args:
        trained: The runs.
        arms: Of each, the arms: one, none, or both where they are the same run.
    """
    return table([_run(run, of) for run, of in zip(trained, arms, strict=True)])


def estimates(
    differences: Sequence[Difference],
    explanations: Sequence[Explanation],
    variances: Sequence[Variance],
    costs: Sequence[Cost],
) -> str:
    """Return the text of a CSV file with a line of each estimate.

    The column ``estimate`` says what it is of: a ``difference`` of two backends, that of a
    ``class``, the ``gap`` of native runs with the ``share`` of each switch, what is left as
    ``aligned`` and ``residual``; a ``variance``, or the ``cost`` of determinism, which is a ratio.
    """
    return table([
        *(line for d in differences for line in _difference(d)),
        *(line for e in explanations for line in _explanation(e)),
        *(line for v in variances for line in _variance(v)),
        *(_cost(c) for c in costs),
    ])  # fmt: skip


def point(grid: Mapping[str, Any] | None) -> str:
    """Write a point of a grid as JSON; empty for all of them."""
    return json.dumps(dict(grid), sort_keys=True) if grid else ""


def _run(run: Trained, arms: Sequence[str]) -> dict[str, Any]:
    c = run.condition
    line = {
        "model": c.model,
        "data": c.data,
        "backend": run.backend,
        "arm": " and ".join(arms),
        "native": " ".join(sorted(c.native)),
        "weights_seed": c.weights_seed,
        "order_seed": c.order_seed,
        "repeat": c.repeat,
        "deterministic": c.deterministic,
        "status": status(run),
        "top1": run.top1,
        "loss": run.loss,
        "last_training_loss": run.losses[-1] if run.losses else None,
        "steps": len(run.losses),
        "seconds": run.seconds,
        "stopped": run.stopped,
    }
    line |= {f"grid_{name}": value for name, value in c.grid.items()}
    line |= {f"switch_{name}": value for name, value in run.values.items()}
    line |= {f"class_{number}": value for number, value in enumerate(run.classes)}
    return line


def _place(estimate: str, place: Place, **rest: Any) -> dict[str, Any]:
    grid = "all" if place.grid is None else point(place.grid)
    return {"estimate": estimate, "model": place.model, "data": place.data, "grid": grid, **rest}


def _figure(figure: Figure | None) -> dict[str, Any]:
    if figure is None:
        return {}
    return {
        "value": figure.mean,
        "median": figure.median,
        "low": figure.low,
        "high": figure.high,
        "interval": figure.method,
        "seeds": figure.seeds,
        "deviation": figure.deviation,
        "flip_p": figure.flip_p,
        "flip_least_p": figure.flip_least,
        "t_p": figure.t_p,
        "detectable": figure.detectable,
    }


def _difference(d: Difference) -> Iterator[dict[str, Any]]:
    common: dict[str, Any] = {"arm": d.arm, "measure": d.measure, "a": d.a, "b": d.b}
    first, second = d.tallies
    yield {
        **_place("difference", d.place, **common),
        **_figure(d.figure),
        "flip_holm_p": d.flip_holm,
        "t_holm_p": d.t_holm,
        "margin": d.margin,
        "tost_p": d.equivalence_p,
        "apart": d.apart,
        "failed_a": first.failed,
        "failed_b": second.failed,
        "failures_p": d.failures_p,
    }
    for number, (figure, adjusted) in enumerate(zip(d.classes, d.class_holm, strict=True)):
        line = _place("class", d.place, **common, name=number)
        yield {**line, **_figure(figure), "t_holm_p": adjusted}


def _explanation(e: Explanation) -> Iterator[dict[str, Any]]:
    common: dict[str, Any] = {"measure": e.measure, "a": e.a, "b": e.b}
    yield {**_place("gap", e.place, **common), **_figure(e.gap)}
    if e.b:
        yield {**_place("aligned", e.place, **common), **_figure(e.aligned)}
    for effect in e.effects:
        yield {
            **_place("share", e.place, **common, name=effect.name),
            **_figure(effect.figure),
            "flip_holm_p": effect.flip_holm,
            "t_holm_p": effect.t_holm,
            "aliases": "; ".join(map(str, effect.aliases)),
        }
    yield {**_place("residual", e.place, **common), **_figure(e.residual)}


def _variance(v: Variance) -> Iterator[dict[str, Any]]:
    for c in v.components:
        line = _place("variance", v.place, arm=v.arm, measure=v.measure, name=c.name)
        yield {**line, "value": c.variance, "low": c.low, "high": c.high, "share": c.share}


def _cost(c: Cost) -> dict[str, Any]:
    line = _place("cost", c.place, measure="seconds", a=c.backend)
    return {**line, "value": c.ratio, "low": c.low, "high": c.high, "seeds": c.seeds}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a CSV file with all columns that any row has."""
    file = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
