"""The results of a verification as plain data, which goes to JSON and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.verification.comparison import Worst


@dataclass(frozen=True)
class BackendResult:
    """What was measured of one backend.

    Attributes:
        backend: Its name.
        title: The framework's name.
        versions: Package -> version.
        status: ``compared``, ``missing`` (not installed) or ``failed`` (it crashed).
        problems: What is wrong, in words; empty if nothing is.
        parameters: Trainable values as the framework counts them, ``plain`` and with ``aux``.
        output_shapes: Output name -> shape.
        logits_error: Error of the logits against the float64 reference.
        worst: The largest error of any node or output against the reference.
        first: The first node, in the order of computation, whose error exceeds the tolerance.
        errors: Error of every node against the reference, in the order of ``Results.nodes``.
        top5: Indices of its five largest logits.
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


@dataclass(frozen=True)
class Pair:
    """The difference between two backends, at the logits and at the worst node."""

    a: str
    b: str
    logits_error: float
    worst: Worst


@dataclass(frozen=True)
class TrainingPair:
    """The difference between two backends in training.

    Attributes:
        a, b: The backends.
        loss: Relative difference of the first loss.
        gradients: The largest difference of any parameter's gradient, over the largest gradient.
        of_input: The same for the gradient of the input.
        problems: Which differences exceed their tolerance, in words.
        rules: Rule -> the largest difference of any weight or statistic after the last step, over
            the largest of them.
        losses: Rule -> relative difference of the losses, step by step.
        weights: Rule -> the largest difference of the sampled weights and statistics
            (``Training.sampled``) over the largest of them, step by step.
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

    Fields with a default belong to training steps, and are left out of JSON if there were none.

    Attributes:
        input_size: (height, width) used; smaller than the network's own, to save time and memory.
        batch: Examples in a batch.
        pairs: One for each two backends.
        problems: What is wrong, in words.
        steps: Number of steps of each rule; 0 if only gradients were compared.
        rates: Rule -> learning rate. It is the largest of those tried at which training in the
            first backend does not amplify a change of 1e-12 in the weights; or the smallest.
        losses: Backend -> rule -> losses, step by step.
        drift: Backend -> difference of its SGD in float32 from its own in float64, step by step:
            the largest difference of the sampled weights over the largest of them.
        sampled: How many values were kept of each step: all, or a sample of a large network.
        values: How many weights and statistics there are.
    """

    input_size: tuple[int, int]
    batch: int
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
        """Which values were compared after each step, in words."""
        if self.sampled < self.values:
            return f"a sample of {self.sampled:,} of {self.values:,} weights and statistics"
        return f"all {self.values:,} weights and statistics"


_OF_STEPS = {"steps", "rates", "losses", "drift", "sampled", "values", "rules", "weights"}


@dataclass(frozen=True)
class Check:
    """One further check of the level ``full``.

    Attributes:
        kind: ``size``, ``form``, ``precision``, ``engine`` or ``optimizer``.
        what: What exactly, such as ``batch 5 of 1x87x75, 7 classes``, or ``torch.compile``.
        backend: The backend's name.
        error: The error measured; None if there is no result, which is a failure unless ``limit``
            gives a reason.
        allowed: The tolerance; None if an error is only reported.
        node: Where the error is largest.
        note: A remark in words; for a failure, what the framework raised.
        limit: Why there is no result, where the backend's table of limits states a reason or an
            optional engine is not installed.
        detail: The framework's own message, where it is too long to print.
    """

    kind: str
    what: str
    backend: str
    error: float | None = None
    allowed: float | None = None
    node: str = ""
    note: str = ""
    limit: str = ""
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is a result within the tolerance, or a stated reason why there is none."""
        if self.error is None:
            return bool(self.limit)
        return self.allowed is None or self.error <= self.allowed

    @property
    def problem(self) -> str:
        """What is wrong, in words; empty if the check passed."""
        if self.passed:
            return ""
        if self.error is None:
            reason = f": {self.note}" if self.note else ""
            return f"{self.kind} {self.what}: no result{reason}"
        place = f" at {self.node}" if self.node else ""
        return f"{self.kind} {self.what}: error {self.error:.1e}{place}, allowed {self.allowed:.1e}"


@dataclass(frozen=True)
class Results:
    """All results of one verification; :class:`zoo.verification.Report` adds how they look.

    Attributes:
        model: Name of the model.
        options: The options it was built with.
        dtype: The dtype that the backends computed in.
        level: ``forward``, ``gradients``, ``training`` or ``full``.
        tolerance: The largest error allowed at any node.
        seed: Random seed for the weights.
        image: The photograph.
        parameters: The graph's counts, ``plain`` and, where there are auxiliary heads, ``aux``.
        nodes: The nodes compared, in the order of computation.
        top5: Indices of the reference's five largest logits.
        results: One for each backend.
        pairs: One for each two backends that were compared.
        training: Gradients and training, if the level includes them.
        checks: The further checks of the level ``full``.
        notes: What a reader must know, such as a smaller input size than the network's own.
        command: The command line that does the same.
        not_run: Why nothing was compared, such as too little memory; empty if something was.
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
    not_run: str = ""

    @property
    def compared(self) -> tuple[BackendResult, ...]:
        """The backends that ran."""
        return tuple(result for result in self.results if result.status == "compared")

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, in words."""
        problems = [self.not_run] if self.not_run else []
        problems += [f"{r.title}: {problem}" for r in self.results for problem in r.problems]
        problems += self.training.problems if self.training else ()
        titles = {result.backend: result.title for result in self.results}
        problems += [f"{titles[c.backend]}: {c.problem}" for c in self.checks if not c.passed]
        return tuple(problems)

    @property
    def passed(self) -> bool:
        """Whether at least one backend ran and nothing is wrong with any."""
        return bool(self.compared) and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON; a number that is not finite becomes None."""
        plain: dict[str, Any] = _finite(asdict(self))
        if self.training and not self.training.steps:
            for part in (plain["training"], *plain["training"]["pairs"]):
                for name in _OF_STEPS & part.keys():
                    del part[name]
        return {"passed": self.passed, "problems": list(self.problems), **plain}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
