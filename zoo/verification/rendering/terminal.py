"""Renders results as tables in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from zoo.training.rules import RULES
from zoo.verification.comparison import Worst
from zoo.verification.results import BackendResult, Check, Results, Training

#: Kind of check -> the heading of its table.
KINDS = {
    "size": "other inputs, float64: error of the worst node compared with NumPy",
    "form": "execution modes, float64: error of the outputs compared with NumPy",
    "precision": "lower precision: error of the worst node compared with the backend in float64",
    "engine": "other engines, float32: error of the worst node compared with NumPy",
    "optimizer": "the framework's own optimizers: difference of the weights from those of the "
    "NumPy rule, relative to their change in training",
}
#: Kinds whose checks differ between backends. A table with a column per backend would be mostly
#: empty.
LISTED_BY_BACKEND = ("form", "engine")


def render(report: Results) -> Group:
    """Lay out all results."""
    height, width = report.options["input_size"]
    heads = " with auxiliary heads" if report.options["aux"] else ""
    title = f"{report.model}{heads}, {height}x{width}, {report.dtype}"
    title += f", on {report.image}" * bool(report.image)
    parts: list[Any] = [f"[italic]{escape(title)}[/]", _backends(report)]
    if report.compared:
        parts += [escape(_versions(report)), "", _errors(report)]
    parts.append("error: max|a - b| / max|reference| of a node; reference: NumPy in float64")
    parts += map(escape, report.notes)
    if report.training:
        parts += ["", *_training(report.training)]
    for kind, heading in KINDS.items():
        if checks := [check for check in report.checks if check.kind == kind]:
            parts += ["", f"[italic]{heading}[/]", _checks(report, checks), *_remarks(checks)]
    parts += ["", *(f"[red]✗[/red] {escape(problem)}" for problem in report.problems)]
    return Group(*parts, verdict(report))


def verdict(report: Results) -> str:
    """Return the last line, which states whether the verification passed."""
    color, word = ("green", "PASS") if report.passed else ("red", "FAIL")
    text = (
        f"[bold {color}]{word}[/] {report.model}: {backends(report)}, "
        f"{len(report.nodes)} nodes, {report.dtype}, tolerance {report.tolerance:.1e} at every node"
    )
    if report.training:
        text += "; gradients"
        text += f", {report.training.steps} steps" if report.training.steps else ""
    return text + (f"; {len(report.checks)} additional checks" if report.checks else "")


def backends(report: Results) -> str:
    """Say how many backends were compared; one alone is compared with NumPy only."""
    if len(report.compared) == 1:
        return f"{report.compared[0].title} compared with the NumPy reference only"
    return f"{len(report.compared)} backends"


def _backends(report: Results) -> Table:
    columns = [
        (label, cells)
        for label, cell in _COLUMNS
        if any(cells := [cell(result, report) for result in report.results])
    ]
    table = _narrow(("backend", *(label for label, _ in columns)), left=("backend",))
    for number, result in enumerate(report.results):
        table.add_row(result.title, *(cells[number] for _, cells in columns))
    return table


def _versions(report: Results) -> str:
    named = (", ".join(map(" ".join, r.versions.items())) for r in report.results if r.versions)
    return "; ".join(named)


def _errors(report: Results) -> Table:
    table = _narrow(("error", "logits", "worst node", "name"), left=("error", "name"))
    for result in report.compared:
        last = result is report.compared[-1]
        row = _row(f"{result.backend} - reference", result.logits_error, result.worst)
        table.add_row(*row, end_section=last)
    for pair in report.pairs:
        table.add_row(*_row(f"{pair.a} - {pair.b}", pair.logits_error, pair.worst))
    return table


def _training(training: Training) -> list[Any]:
    height, width = training.input_size
    trained = " and ".join(f"{name} ({rate:g})" for name, rate in training.rates.items())
    steps = f" and {training.steps} steps of {trained}" if training.steps else ""
    title = f"gradients{steps} in float64, batches of {training.batch} digits, {height}x{width}"
    names = list(RULES) if training.steps else []
    table = _narrow(("difference", "loss", "gradients", "of input", *names), left=("difference",))
    for pair in training.pairs:
        errors = [pair.loss, pair.gradients.error, pair.of_input]
        errors += [pair.rules[name].error for name in names]
        table.add_row(f"{pair.a} - {pair.b}", *map(figure, errors))
    parts: list[Any] = [f"[italic]{title}[/]", table]
    drifts = [f"{name} {drift[-1]:.0e}" for name, drift in training.drift.items() if drift]
    if drifts:
        parts.append(
            f"float32 compared with float64 after {training.steps} steps: {', '.join(drifts)}"
        )
    return parts


def _checks(report: Results, checks: list[Check]) -> Table:
    titles = {r.backend: r.title for r in report.compared}
    if checks[0].kind in LISTED_BY_BACKEND:
        table = Table(box=None, show_header=False, pad_edge=False)
        for title, results in by_backend(checks, titles):
            table.add_row(title, ", ".join(f"{what} {text}" for what, text in results))
        return table
    table = _narrow(("", *titles.values()), left=("",))
    for what, cells in by_row(checks, titles):
        table.add_row(what, *cells)
    return table


def by_row(checks: Iterable[Check], backends: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Arrange checks in rows: one per ``Check.what``, with a cell per backend."""
    rows: dict[str, dict[str, str]] = {}
    for check in checks:
        rows.setdefault(check.what, {})[check.backend] = _result(check)
    return [(what, [cells.get(name, "") for name in backends]) for what, cells in rows.items()]


def by_backend(
    checks: Iterable[Check], titles: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Arrange checks in rows: one per backend, with pairs of (what was checked, result)."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for check in checks:
        rows.setdefault(titles[check.backend], []).append((check.what, _result(check)))
    return list(rows.items())


def _result(check: Check) -> str:
    if check.error is None:
        return "not available" if check.limit else "failed ✗"
    return figure(check.error) + " ✗" * (not check.passed)


def _remarks(checks: Iterable[Check]) -> list[str]:
    return [f"{escape(subject)}: {escape(note)}" for subject, note in notes(checks)]


def notes(checks: Iterable[Check]) -> list[tuple[str, str]]:
    """Return the notes of checks without duplicates, as pairs of (subject, note)."""
    pairs: dict[tuple[str, str], None] = {}
    for check in checks:
        if check.note:
            name = check.what.partition(",")[0]
            subject = name if check.backend in name else f"{check.backend}, {name}"
            pairs[subject, check.note] = None
    return list(pairs)


def figure(error: float | None) -> str:
    """Format an error with two significant digits."""
    return "" if error is None else f"{error:.1e}"


def _narrow(headings: Iterable[str], left: Iterable[str]) -> Table:
    """Make a table whose longest words fit into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in headings:
        justify: Any = "left" if heading in left else "right"
        table.add_column(heading, justify=justify, overflow="fold")
    return table


def _row(label: str, logits: float | None, worst: Worst | None) -> tuple[str, ...]:
    return label, figure(logits), *((figure(worst.error), worst.node) if worst else ())


Cell = Callable[[BackendResult, Results], str]


def _if_compared(cell: Callable[[BackendResult], str]) -> Cell:
    return lambda result, report: cell(result) if result.status == "compared" else ""


def _shape(result: BackendResult) -> str:
    shapes = {"x".join(map(str, shape)) for shape in result.output_shapes.values()}
    count = len(result.output_shapes)
    return f"{count} of {shapes.pop()}" if count > 1 and len(shapes) == 1 else ", ".join(shapes)


def _top5(result: BackendResult, report: Results) -> str:
    if result.status != "compared":
        return ""
    same = sum(a == b for a, b in zip(result.top5, report.top5, strict=False))
    return f"{same} of {len(report.top5)}"


def _count(kind: str) -> Cell:
    return _if_compared(lambda r: f"{r.parameters[kind]:,}" if kind in r.parameters else "")


def _verdict(result: BackendResult, report: Results) -> str:
    if result.status == "missing":
        return "not installed"
    return "[red]FAIL[/red]" if result.problems else "[green]PASS[/green]"


_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("parameters", _count("plain")),
    ("with heads", _count("aux")),
    ("output", _if_compared(_shape)),
    ("top-5", _top5),
    ("verdict", _verdict),
)
