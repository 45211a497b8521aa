"""What a proof found, as plain data: it goes to JSON and comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.verification.comparison import Worst

if TYPE_CHECKING:
    from rich.console import Group

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
        first: The first node, in the order they are computed, that is further off than allowed.
        errors: Of every node against the reference, in the order of ``Report.nodes``.
        top5: Its five largest logits.
        import_s, build_s, first_run_s, run_s: Seconds to import the framework, to build the model
            with initial weights, to run it first (compiling included), and to run it again; None
            where a process that had done other jobs did this one.
        peak_memory_mib: The most memory its process held, MiB, the framework itself included.
    """

    backend: str
    title: str
    versions: Mapping[str, str]
    status: str
    problems: tuple[str, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)
    output_shapes: Mapping[str, list[int]] = field(default_factory=dict)
    logits_error: float | None = None
    worst: Worst | None = None
    first: Worst | None = None
    errors: tuple[float, ...] = ()
    top5: tuple[int, ...] = ()
    import_s: float | None = None
    build_s: float | None = None
    first_run_s: float | None = None
    run_s: float | None = None
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class Pair:
    """How far two backends are from each other, at the logits and at the worst node."""

    a: str
    b: str
    logits_error: float
    worst: Worst


@dataclass(frozen=True)
class TrainingPair:
    """How far two backends are from each other when they train.

    Attributes:
        a, b: The backends.
        loss: Relative difference of the first loss.
        gradients: The largest difference of any parameter's gradient over the largest gradient.
        of_input: The same of the gradient for the input.
        problems: What is beyond what is allowed, in words.
        rules: Rule -> that of any weight or statistic after the last step, of them all.
        losses: Rule -> relative difference of the losses, step by step.
        weights: Rule -> the largest difference of the weights and statistics that are kept of
            each step (``Training.sampled``) over the largest of them, step by step.
    """

    a: str
    b: str
    loss: float
    gradients: Worst
    of_input: float
    problems: tuple[str, ...]
    rules: Mapping[str, Worst] = field(default_factory=dict)
    losses: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    weights: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """The result of the levels ``gradients`` and ``training``.

    What is of training only has a default, and is left out of JSON where there were no steps.

    Attributes:
        input_size: (height, width) that it was done at; smaller than the network's own, to save
            time and memory.
        batch: Examples in a batch.
        seconds: Backend -> what it took.
        pairs: One for each two backends.
        problems: What went wrong, in words.
        steps: Of each rule; 0 if only gradients were compared.
        rates: Rule -> learning rate: the largest of those tried at which training does not blow
            a change of 1e-12 in the weights up, in the first backend; or the smallest.
        losses: Backend -> rule -> losses, step by step.
        drift: Backend -> how far SGD in float32 is from that backend's own in float64, step by
            step: the largest difference of the weights that are kept over the largest of them.
        sampled: How many values were kept of each step: all, or of a large network a sample.
        values: How many weights and statistics there are.
    """

    input_size: tuple[int, int]
    batch: int
    seconds: Mapping[str, float]
    pairs: tuple[TrainingPair, ...]
    problems: tuple[str, ...]
    steps: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    drift: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    sampled: int = 0
    values: int = 0

    @property
    def kept(self) -> str:
        """What the steps on the way were compared by, in words."""
        if self.sampled < self.values:
            return f"a sample of {self.sampled:,} of {self.values:,} weights and statistics"
        return f"all {self.values:,} weights and statistics"


_OF_STEPS = {"steps", "rates", "losses", "drift", "sampled", "values", "rules", "weights"}


@dataclass(frozen=True)
class Check:
    """One more thing that was held against what it should be, at the level ``full``.

    Attributes:
        kind: ``size``, ``form``, ``precision``, ``engine`` or ``optimizer``.
        what: What exactly, such as ``batch 5 of 1x87x75, 7 classes``, or ``compiled``.
        backend: Whose.
        error: How far off it is; None where it could not be done, and ``note`` says why.
        allowed: The most it may be; None if it is only reported.
        node: Where it is furthest off.
        note: In words, what there is to say.
        detail: What the framework itself said, word for word, where that is too much to print.
    """

    kind: str
    what: str
    backend: str
    error: float | None = None
    allowed: float | None = None
    node: str = ""
    note: str = ""
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is as near as it must be."""
        return self.allowed is None or (self.error is not None and self.error <= self.allowed)


@dataclass(frozen=True)
class Report:
    """The result of :func:`zoo.verify`.

    Attributes:
        model: Name of the model.
        options: What it was built for.
        dtype: What the backends computed in.
        level: ``forward``, ``gradients``, ``training`` or ``full``.
        tolerance: The largest error allowed at any node.
        seed: Of the weights.
        image: The photograph.
        parameters: The graph's counts, ``plain`` and, where there are auxiliary heads, ``aux``.
        nodes: Those that were compared, in the order they are computed.
        top5: The reference's five largest logits.
        results: One for each backend.
        pairs: One for each two backends that were compared.
        training: Of gradients and training, if that was asked for.
        checks: Of the level ``full``.
        notes: What a reader must know, such as a smaller input size than the network's own.
        command: What does the same on the command line.
        unproven: Why nothing was compared, such as for want of memory; empty where it was.
    """

    model: str
    options: Mapping[str, Any]
    dtype: str
    level: str
    tolerance: float
    seed: int
    image: str
    parameters: Mapping[str, int]
    nodes: tuple[str, ...]
    top5: tuple[int, ...]
    results: tuple[BackendResult, ...]
    pairs: tuple[Pair, ...]
    training: Training | None = None
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    unproven: str = ""

    @property
    def compared(self) -> tuple[BackendResult, ...]:
        """The backends that ran."""
        return tuple(result for result in self.results if result.status == "compared")

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, in words."""
        found = [self.unproven] if self.unproven else []
        found += [f"{r.title}: {problem}" for r in self.results for problem in r.problems]
        found += self.training.problems if self.training else ()
        titles = {result.backend: result.title for result in self.results}
        for check in self.checks:
            if not check.passed:
                at = f" at {check.node}" if check.node else ""
                far = "no result" if check.error is None else f"error {check.error:.1e}{at}"
                beyond = f"{far}, allowed {check.allowed:.1e}"
                found.append(f"{titles[check.backend]}: {check.kind} {check.what}: {beyond}")
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether at least one backend ran and nothing is wrong with any."""
        return bool(self.compared) and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON; a figure there is none of is None."""
        plain: dict[str, Any] = _finite(asdict(self))
        if self.training and not self.training.steps:
            for part in (plain["training"], *plain["training"]["pairs"]):
                for name in _OF_STEPS & part.keys():
                    del part[name]
        return {"passed": self.passed, "problems": list(self.problems), **plain}

    def to_html(self) -> str:
        """Return a page of its own, pictures included, that needs no network."""
        from zoo.verification.page import page

        return page(self)

    def __rich__(self) -> Group:
        from zoo.verification.terminal import told

        return told(self)

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=120, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


def from_dict(found: Mapping[str, Any]) -> Report:
    """Make a report again of what :meth:`Report.to_dict` gave.

    Raises:
        pydantic.ValidationError: It is something else.
    """
    from pydantic import TypeAdapter

    kept = {key: value for key, value in found.items() if key not in ("passed", "problems")}
    return TypeAdapter(Report).validate_python(kept)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
