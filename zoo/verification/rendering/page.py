"""Renders results as self-contained HTML pages, without scripts or network access."""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import BackendError
from zoo.verification.rendering.terminal import (
    KINDS,
    LISTED_BY_BACKEND,
    backends,
    by_backend,
    by_row,
    figure,
    notes,
)
from zoo.verification.results import Results

ABOVE_TOLERANCE = 7  # the shade of a cell whose error exceeds the tolerance; 0 to 6 are within it


def check() -> None:
    """Check that pages can be made; called before a long verification rather than after it.

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
        HTML with embedded styles and plots.

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
        summary=_summary(report),
        compared=backends(report),
        titles=titles,
        matrix=_matrix(report),
        pictures=pictures,
        checks=[
            (
                KINDS[kind],
                [] if kind in LISTED_BY_BACKEND else by_row(checks, compared),
                by_backend(checks, titles) if kind in LISTED_BY_BACKEND else [],
                notes(checks),
            )
            for kind, checks in kinds.items()
            if checks
        ],
    )


def index(
    reports: Sequence[Results],
    command: str,
    settings: Mapping[str, Any] | None = None,
    missing: Sequence[str] = (),
) -> str:
    """Make the page that links to the pages of many models, and lists what was found.

    Args:
        reports: The results of each model.
        command: The command line to show.
        settings: What all reports have in common: ``level``, ``dtype``, ``seed`` and ``versions``.
        missing: The models that there is no report of yet.

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
        settings=settings or {},
        missing=missing,
        gradients=bool(trained),
        rules=list(dict.fromkeys(rule for t in trained if t.steps for rule in t.rates)),
        failed=[report for report in reports if not report.passed],
        limits=_limits(reports),
        repeated=repeated,
    )


def repeated(report: Results) -> str:
    """Return the command line that repeats a verification."""
    if report.command:
        return report.command
    options = {"--dtype": report.dtype, "--level": report.level, "--seed": str(report.seed)}
    usual = {"--dtype": "float32", "--level": "forward", "--seed": "0"}
    words = ["zoo", "verify", report.model, *["--aux"] * bool(report.options["aux"])]
    for option, value in options.items():
        words += [option, value] if value != usual[option] else []
    return shlex.join(words)


def _limits(reports: Sequence[Results]) -> list[tuple[str, list[str]]]:
    """Group what was left out or done otherwise: what, and the models it is said of."""
    found: dict[str, dict[str, None]] = {}
    for report in reports:
        for note in report.notes:
            found.setdefault(note, {})[report.model] = None
        for r in report.results:
            if r.status == "missing":
                found.setdefault(f"{r.title} is not installed", {})[report.model] = None
        for check in report.checks:
            if check.passed and check.limit:
                what = f"{check.backend}, {check.what}: {check.limit}"
                found.setdefault(what, {})[report.model] = None
    return [(what, list(models)) for what, models in found.items()]


def _summary(report: Results) -> str:
    """Describe what was verified."""
    height, width = report.options["input_size"]
    words = [f"{height}x{width} pixels"]
    for option, singular, plural in (
        ("in_channels", "channel", "channels"),
        ("num_classes", "class", "classes"),
    ):
        count = report.options[option]
        words.append(f"{count:,} {singular if count == 1 else plural}")
    if report.options["aux"] or "aux" in report.parameters:
        words.append(f"{'with' if report.options['aux'] else 'without'} auxiliary heads")
    return ", ".join(words)


def _matrix(report: Results) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """All pairs: the error of the worst node, its name, and a shade."""
    names = ["reference", *(result.backend for result in report.compared)]
    worst = {frozenset((pair.a, pair.b)): pair.worst for pair in report.pairs}
    worst |= {frozenset((r.backend, "reference")): r.worst for r in report.compared if r.worst}
    rows = []
    for a in names:
        cells = []
        for b in names:
            cell = worst.get(frozenset((a, b)))
            if a == b or cell is None:
                cells.append(("", "", 0))
            else:
                cells.append((figure(cell.error), cell.node, _shade(cell.error, report)))
        rows.append((a, cells))
    return rows


def _shade(error: float, report: Results) -> int:
    """The shade for an error: 0 up to a thousandth of the tolerance, 6 at it, and 7 above."""
    if not error <= report.tolerance:
        return ABOVE_TOLERANCE
    distance = -math.log10(error / report.tolerance) / 3 if error else 1.0
    return round((ABOVE_TOLERANCE - 1) * max(0.0, 1 - distance))


def _render(name: str, **values: Any) -> str:
    return str(_environment().get_template(name).render(**values))


def _environment() -> Any:
    return environment("zoo.verification.rendering")


def environment(*packages: str) -> Any:
    """Return the environment of Jinja that renders the templates of packages.

    Raises:
        BackendError: Jinja is not installed.
    """
    try:
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup  # a dependency of Jinja
    except ImportError as error:
        raise missing(error) from error
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["figure"] = figure
    # Allows line breaks at the dots of a path name.
    made.filters["breakable"] = lambda name: Markup(".<wbr>").join(name.split("."))
    return made


def script(path: Path) -> dict[str, str]:
    """Return a script for a template, and the digest by which the page's policy allows it.

    Args:
        path: The file of the script.
    """
    text = path.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"script": text, "digest": digest}


def _plots() -> Any:
    try:
        from zoo.verification.rendering import plots
    except ImportError as error:
        raise missing(error) from error
    return plots


def missing(error: ImportError) -> BackendError:
    """Return the error of a page that cannot be made."""
    return BackendError(
        "HTML reports need Jinja and Matplotlib: python -m pip install 'polyzoo[report]' "
        f"(could not import {error.name!r})"
    )
