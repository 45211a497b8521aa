"""Renders a benchmark as a self-contained HTML page, which loads nothing from a network.

Its table is sorted by a script of a few lines. The page's policy allows that script alone, by its
hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.benchmarking.against import Change
from zoo.benchmarking.results import Results
from zoo.verification.rendering.page import environment, missing, script
from zoo.views.benchmark import words
from zoo.views.benchmark.words import Row

_SCRIPT = Path(__file__).parent / "templates" / "sorting.js"


def check() -> None:
    """Check that a page can be made; called before a long benchmark rather than after it.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    _plots()
    _environment()


def page(results: Results, changes: Sequence[Change] = (), others: Sequence[str] = ()) -> str:
    """Make the page of a benchmark.

    Args:
        results: What was measured.
        changes: Compared with an earlier benchmark.
        others: What differs from that besides times.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    rows = words.rows(results)
    template = _environment().get_template("benchmark.html.jinja")
    return str(
        template.render(
            results=results,
            rows=rows,
            stated=words.stated(results),
            remarks=words.remarks(results),
            varied=words.varied(results),
            once=words.once(results),
            pictures=_pictures(results, rows),
            changes=changes,
            others=others,
            words=words,
            **script(_SCRIPT),
            models=list(dict.fromkeys(m.cell.model for m in results.cells)),
        )
    )


def _pictures(results: Results, rows: Sequence[Row]) -> dict[str, Any]:
    plots = _plots()
    varied = words.varied(results)
    of_work: dict[str, list[Row]] = {}
    of_model: dict[str, list[Row]] = {}
    for row in (row for row in rows if row.measured.time):
        cell = row.measured.cell
        apart = [getattr(cell, field) for field in ("device", "dtype") if field in varied]
        work = ", ".join([cell.work, *apart])
        of_work.setdefault(f"{work}, batch {cell.batch}", []).append(row)
        of_model.setdefault(f"{cell.model}, {work}", []).append(row)
    found: dict[str, Any] = {"models": [], "batches": [], "ratios": [], "memory": [], "first": None}
    for title, members in of_work.items():
        if len({row.measured.cell.model for row in members}) > 1:
            found["models"].append(plots.across_models(members, title))
    for title, members in of_model.items():
        batches = list(dict.fromkeys(row.measured.cell.batch for row in members))
        if len(batches) > 1:
            found["batches"].append(plots.over_batches(members, title))
        for batch in batches:
            of_batch = [row for row in members if row.measured.cell.batch == batch]
            if len(of_batch) > 1:
                found["ratios"].append(plots.ratios(of_batch, f"{title}, batch {batch}"))
        if any(row.measured.memory() or row.measured.device_memory for row in members):
            found["memory"].append(plots.memory(members, title))
    if any(m.once("first") for m in results.cells):
        found["first"] = plots.first_calls(results)
    return found


def _environment() -> Any:
    return environment("zoo.views.benchmark", "zoo.verification.rendering")


def _plots() -> Any:
    try:
        from zoo.views.benchmark import plots
    except ImportError as error:
        raise missing(error) from error
    return plots
