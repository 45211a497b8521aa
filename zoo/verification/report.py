"""The result of a proof, to print or to hand to a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.verification.comparison import Worst
from zoo.verification.rules import RULES

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from zoo.verification.training import Training

#: dtype -> the largest error that any node may have; see "What equal means" in the documentation.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


@dataclass(frozen=True)
class BackendResult:
    """What one backend showed.

    Attributes:
        backend: Its name.
        title: The framework's name.
        versions: Package -> version.
        status: ``compared``, ``missing`` (not installed) or ``failed`` (it crashed).
        problems: What is wrong with it, in words; empty if nothing is.
        parameters: Trainable values as the framework counts them, ``plain`` and with ``aux``.
        output_shapes: Output name -> shape.
        logits_error: Error of the logits against the float64 reference.
        worst: The largest error of any node or output against the reference.
        top5: Its five largest logits.
        import_s, build_s, first_run_s, run_s: Seconds to import the framework, to build the model
            with initial weights, to run it first (compiling included), and to run it again.
        peak_memory_mib: The most memory its process held, MiB, the framework itself included.
    """

    backend: str
    title: str
    versions: Mapping[str, str]
    status: str
    problems: tuple[str, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)
    output_shapes: Mapping[str, list[int]] = field(default_factory=dict)
    logits_error: float = float("nan")
    worst: Worst | None = None
    top5: tuple[int, ...] = ()
    import_s: float = float("nan")
    build_s: float = float("nan")
    first_run_s: float = float("nan")
    run_s: float = float("nan")
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class Pair:
    """How far two backends are from each other, at the logits and at the worst node."""

    a: str
    b: str
    logits_error: float
    worst: Worst


@dataclass(frozen=True)
class Report:
    """The result of :func:`zoo.verify`.

    Attributes:
        model: Name of the model.
        options: What it was built for.
        dtype: What the backends computed in.
        tolerance: The largest error allowed at any node.
        seed: Of the weights.
        image: The photograph.
        parameters: The graph's counts, ``plain`` and, where there are auxiliary heads, ``aux``.
        nodes: How many nodes were compared.
        top5: The reference's five largest logits.
        results: One for each backend.
        pairs: One for each two backends that were compared.
        training: Of gradients and training, if that was asked for.
    """

    model: str
    options: Mapping[str, Any]
    dtype: str
    tolerance: float
    seed: int
    image: str
    parameters: Mapping[str, int]
    nodes: int
    top5: list[int]
    results: tuple[BackendResult, ...]
    pairs: tuple[Pair, ...]
    training: Training | None = None

    @property
    def compared(self) -> tuple[BackendResult, ...]:
        """The backends that ran."""
        return tuple(result for result in self.results if result.status == "compared")

    @property
    def passed(self) -> bool:
        """Whether at least one backend ran and nothing is wrong with any."""
        trained = self.training is None or not self.training.problems
        return (
            bool(self.compared) and not any(result.problems for result in self.results) and trained
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON; a figure there is none of is None."""
        return {"passed": self.passed, **_without_nan(asdict(self))}

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.markup import escape

        height, width = self.options["input_size"]
        heads = " with auxiliary heads" if self.options["aux"] else ""
        title = f"{self.model}{heads}, {height}x{width}, {self.dtype}, on {self.image}"
        parts: list[Any] = [f"[italic]{escape(title)}[/]", self._table()]
        if self.compared:
            parts += ["", self._errors()]
        parts.append("error: max|a - b| / max|reference| of a node; reference: NumPy in float64")
        problems = [f"{r.title}: {problem}" for r in self.results for problem in r.problems]
        if self.training:
            parts += ["", *self._training(self.training)]
            problems += self.training.problems
        parts += ["", *(f"[red]✗[/red] {escape(problem)}" for problem in problems)]
        count = len(self.compared)
        colour, word = ("green", "PASS") if self.passed else ("red", "FAIL")
        parts.append(
            f"[bold {colour}]{word}[/] {self.model}: {count} backend{'s' * (count != 1)}, "
            f"{self.nodes} nodes, {self.dtype}, tolerance {self.tolerance:.1e} at every node"
            + self._trained()
        )
        return Group(*parts)

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=120, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()

    def _table(self) -> Table:
        from rich.table import Table

        table = Table()
        table.add_column("")
        for result in self.results:
            table.add_column(result.title, justify="right", overflow="fold")
        for label, cell in _LINES:
            cells = [cell(result, self) for result in self.results]
            if any(cells):
                table.add_row(label, *cells, end_section=label in _SECTION_ENDS)
        return table

    def _trained(self) -> str:
        if self.training is None:
            return ""
        steps = f", {self.training.steps} steps" if self.training.steps else ""
        return f"; gradients{steps}"

    def _training(self, found: Training) -> list[Any]:
        from rich import box
        from rich.table import Table

        height, width = found.input_size
        trained = " and ".join(f"{name} ({rate:g})" for name, rate in found.rates.items())
        what = f"and {found.steps} steps of {trained}" if found.steps else ""
        title = f"gradients {what} in float64, batches of {found.batch} digits, {height}x{width}"
        table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
        names = list(RULES) if found.steps else []
        for heading in ("difference", "loss", "gradients", "of input", *names):
            table.add_column(heading, justify="left" if heading == "difference" else "right")
        for pair in found.pairs:
            errors = [pair.loss, pair.gradients.error, pair.of_input]
            errors += [pair.rules[name].error for name in names]
            table.add_row(f"{pair.a} - {pair.b}", *(f"{error:.1e}" for error in errors))
        parts: list[Any] = [f"[italic]{title}[/]", table]
        drifts = [f"{name} {drift[-1]:.0e}" for name, drift in found.drift.items() if drift]
        if drifts:
            parts.append(f"float32 from float64 after {found.steps} steps: {', '.join(drifts)}")
        return parts

    def _errors(self) -> Table:
        from rich import box
        from rich.table import Table

        # Narrow, so that 80 columns hold the longest path names whole.
        table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
        for heading in ("error", "logits", "worst node", "which is"):
            right = heading in ("logits", "worst node")
            table.add_column(heading, justify="right" if right else "left", overflow="fold")
        for result in self.compared:
            last = result is self.compared[-1]
            row = _errors(f"{result.backend} - reference", result.logits_error, result.worst)
            table.add_row(*row, end_section=last)
        for pair in self.pairs:
            table.add_row(*_errors(f"{pair.a} - {pair.b}", pair.logits_error, pair.worst))
        return table


def _if_compared(cell: Callable[[BackendResult], str]) -> Callable[[BackendResult, Report], str]:
    return lambda result, report: cell(result) if result.status == "compared" else ""


def _errors(label: str, logits: float, worst: Worst | None) -> tuple[str, ...]:
    return label, f"{logits:.1e}", *((f"{worst.error:.1e}", worst.node) if worst else ())


def _shape(result: BackendResult) -> str:
    shapes = {"x".join(map(str, shape)) for shape in result.output_shapes.values()}
    count = len(result.output_shapes)
    return f"{count} of {shapes.pop()}" if count > 1 and len(shapes) == 1 else ", ".join(shapes)


def _top5(result: BackendResult, report: Report) -> str:
    if result.status != "compared":
        return ""
    same = sum(a == b for a, b in zip(result.top5, report.top5, strict=False))
    return f"{same} of {len(report.top5)}"


def _count(kind: str) -> Callable[[BackendResult, Report], str]:
    return _if_compared(lambda r: f"{r.parameters[kind]:,}" if kind in r.parameters else "")


def _memory(result: BackendResult) -> str:
    return "" if result.peak_memory_mib is None else f"{result.peak_memory_mib:,.0f} MiB"


def _version(result: BackendResult, report: Report) -> str:
    return "\n".join(f"{name} {version}" for name, version in result.versions.items())


def _verdict(result: BackendResult, report: Report) -> str:
    if result.status == "missing":
        return "not installed"
    return "[red]FAIL[/red]" if result.problems else "[green]PASS[/green]"


_LINES: tuple[tuple[str, Callable[[BackendResult, Report], str]], ...] = (
    ("version", _version),
    ("parameters", _count("plain")),
    ("  with aux", _count("aux")),
    ("output", _if_compared(_shape)),
    ("top-5 as reference", _top5),
    ("import", _if_compared(lambda r: f"{r.import_s:.1f} s")),
    ("build", _if_compared(lambda r: f"{r.build_s:.2f} s")),
    ("first run", _if_compared(lambda r: f"{r.first_run_s:.2f} s")),
    ("run", _if_compared(lambda r: f"{1000 * r.run_s:.0f} ms")),
    ("peak memory", _if_compared(_memory)),
    ("verdict", _verdict),
)
_SECTION_ENDS = ("output", "top-5 as reference", "peak memory")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
