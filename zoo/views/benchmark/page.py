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
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        cell = row.measured.cell
        if row.measured.time:
            groups.setdefault((cell.model, cell.work, cell.device, cell.dtype), []).append(row)
    found: dict[str, Any] = {"batches": [], "ratios": [], "memory": [], "first": None}
    for (model, work, device, dtype), members in groups.items():
        apart = [w for w, f in ((device, "device"), (dtype, "dtype")) if f in words.varied(results)]
        title = ", ".join([model, work, *apart])
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
