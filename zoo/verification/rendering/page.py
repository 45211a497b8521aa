"""Results as self-contained HTML pages, without scripts, which load nothing from a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from zoo.errors import BackendError
from zoo.verification.rendering.terminal import KINDS, OWN, by_backend, by_row, figure, notes
from zoo.verification.results import Results

BEYOND = 7  # the shade of a cell whose error exceeds the tolerance; 0 to 6 are within it


def check() -> None:
    """Check that pages can be made, before the work rather than after it.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    _plots()
    _environment()


def page(report: Results) -> str:
    """Make the page of one verification.

    Args:
        report: Its results.

    Returns:
        HTML with its style and plots inside.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    plots = _plots()
    titles = {result.backend: result.title for result in report.results}
    kinds = {kind: [c for c in report.checks if c.kind == kind] for kind in KINDS}
    compared = [result.backend for result in report.compared]
    pictures: dict[str, Any] = dict.fromkeys(("depth", "training", "drift"))
    if compared:
        pictures["depth"] = plots.depth(report)
    training = report.training
    if training and training.losses and training.steps:
        rules = training.rates
        pictures["training"] = [plots.losses(training, rule, titles) for rule in rules]
        if training.pairs:  # below the losses
            pictures["training"] += [plots.differences(training, rule, titles) for rule in rules]
        pictures["drift"] = plots.drift(training, titles)
    return _render(
        "report.html.jinja",
        report=report,
        about=_about(report),
        titles=titles,
        matrix=_matrix(report),
        pictures=pictures,
        checks=[
            (
                KINDS[kind],
                [] if kind in OWN else by_row(checks, compared),
                by_backend(checks, titles) if kind in OWN else [],
                notes(checks),
            )
            for kind, checks in kinds.items()
            if checks
        ],
    )


def index(reports: Sequence[Results], command: str) -> str:
    """Make the page that links to those of many models.

    Args:
        reports: The results of each model.
        command: The command line to show.

    Returns:
        HTML, which expects each model's ``MODEL.html`` in the same folder.
    """
    backends = {r.backend: r.title for report in reports for r in report.results}
    trained = [r.training for r in reports if r.training and r.training.pairs]
    return _render(
        "index.html.jinja",
        reports=reports,
        backends=backends,
        command=command,
        gradients=bool(trained),
        rules=list(dict.fromkeys(rule for t in trained if t.steps for rule in t.rates)),
    )


def _about(report: Results) -> str:
    """What was verified, in words."""
    height, width = report.options["input_size"]
    words = [f"{height}x{width} pixels"]
    for option, one, many in (
        ("in_channels", "channel", "channels"),
        ("num_classes", "class", "classes"),
    ):
        count = report.options[option]
        words.append(f"{count:,} {one if count == 1 else many}")
    if report.options["aux"] or "aux" in report.parameters:
        words.append(f"{'with' if report.options['aux'] else 'without'} auxiliary heads")
    return ", ".join(words)


def _matrix(report: Results) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """All pairs: the worst node's error, its name, and a shade."""
    names = ["reference", *(result.backend for result in report.compared)]
    worst = {frozenset((pair.a, pair.b)): pair.worst for pair in report.pairs}
    worst |= {frozenset((r.backend, "reference")): r.worst for r in report.compared if r.worst}
    rows = []
    for a in names:
        cells = []
        for b in names:
            place = worst.get(frozenset((a, b)))
            if a == b or place is None:
                cells.append(("", "", 0))
            else:
                cells.append((figure(place.error), place.node, _shade(place.error, report)))
        rows.append((a, cells))
    return rows


def _shade(error: float, report: Results) -> int:
    """A shade by the error: 0 up to a thousandth of the tolerance, 6 at the tolerance, 7 above."""
    if not error <= report.tolerance:
        return BEYOND
    near = math.log10(error / report.tolerance) / 3 if error else -1.0
    return round((BEYOND - 1) * max(0.0, 1 + near))


def _render(name: str, **values: Any) -> str:
    return str(_environment().get_template(name).render(**values))


def _environment() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup  # which Jinja brings
    except ImportError as error:
        raise _missing(error) from error
    environment = Environment(
        loader=PackageLoader("zoo.verification.rendering"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    # A path name in which a line may break at the dots.
    environment.filters["broken"] = lambda name: Markup(".<wbr>").join(name.split("."))
    return environment


def _plots() -> Any:
    try:
        from zoo.verification.rendering import plots
    except ImportError as error:
        raise _missing(error) from error
    return plots


def _missing(error: ImportError) -> BackendError:
    return BackendError(
        "HTML reports need Jinja and Matplotlib: python -m pip install 'polyzoo[report]' "
        f"(could not import {error.name!r})"
    )
