"""A report as a web page of its own: no scripts, and nothing from any network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from zoo.errors import BackendError
from zoo.verification.results import Report
from zoo.verification.terminal import KINDS, by_row, figure, notes


def check() -> None:
    """Find out whether pages can be made, before the work rather than after.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    _plots()
    _environment()


def page(report: Report) -> str:
    """Make the page of one proof.

    Args:
        report: What was found.

    Returns:
        HTML with style and pictures in it.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    plots = _plots()
    titles = {result.backend: result.title for result in report.results}
    kinds = {kind: [c for c in report.checks if c.kind == kind] for kind in KINDS}
    compared = [result.backend for result in report.compared]
    pictures: dict[str, Any] = dict.fromkeys(("depth", "losses", "apart", "drift"))
    if compared:
        pictures["depth"] = plots.depth(report)
    training = report.training
    if training and training.losses and training.steps:
        pictures["losses"] = [plots.losses(training, rule, titles) for rule in training.rates]
        if training.pairs:
            pictures["apart"] = [plots.differences(training, rule) for rule in training.rates]
        pictures["drift"] = plots.drift(training, titles)
    return _render(
        "report.html.jinja",
        report=report,
        titles=titles,
        matrix=_matrix(report),
        pictures=pictures,
        checks=[
            (KINDS[kind], by_row(found, compared), notes(found))
            for kind, found in kinds.items()
            if found
        ],
    )


def index(reports: Sequence[Report], command: str) -> str:
    """Make the page that leads to those of many proofs.

    Args:
        reports: What was found of each model.
        command: What made it, to be told.

    Returns:
        HTML, which expects ``MODEL.html`` of each beside it.
    """
    backends = {r.backend: r.title for report in reports for r in report.results}
    return _render("index.html.jinja", reports=reports, backends=backends, command=command)


def _matrix(report: Report) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """Each against each: the worst node's error, which node that is, and a shade from 0 to 9."""
    names = ["reference", *(result.backend for result in report.compared)]
    worst = {frozenset((pair.a, pair.b)): pair.worst for pair in report.pairs}
    worst |= {frozenset((r.backend, "reference")): r.worst for r in report.compared if r.worst}
    rows = []
    for a in names:
        cells = []
        for b in names:
            found = worst.get(frozenset((a, b)))
            if a == b or found is None:
                cells.append(("", "", 0))
            else:
                cells.append((figure(found.error), found.node, _shade(found.error, report)))
        rows.append((a, cells))
    return rows


def _shade(error: float, report: Report) -> int:
    """0 for no difference, 5 for all that is allowed, 9 for much more."""
    if not math.isfinite(error):
        return 9
    if not error:
        return 0
    return max(0, min(9, round(5 + math.log10(error / report.tolerance))))


def _render(name: str, **values: Any) -> str:
    return str(_environment().get_template(name).render(**values))


def _environment() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise _missing(error) from error
    environment = Environment(
        loader=PackageLoader("zoo.verification"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    return environment


def _plots() -> Any:
    try:
        from zoo.verification import plots
    except ImportError as error:
        raise _missing(error) from error
    return plots


def _missing(error: ImportError) -> BackendError:
    return BackendError(
        "a report as a page needs Jinja and Matplotlib: python -m pip install 'polyzoo[report]' "
        f"(could not import {error.name!r})"
    )
