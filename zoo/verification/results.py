"""The results of a verification as plain data, which can be converted to JSON and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.verification.comparison import Worst


@dataclass(frozen=True)
class BackendResult:
    """The measurements for one backend.

    Attributes:
        backend: The backend's name.
        title: The framework's name.
        versions: Package -> version.
        status: ``compared``, ``missing`` (not installed) or ``failed`` (it crashed).
        problems: Descriptions of what is wrong; empty if nothing is.
        parameters: Number of trainable parameters as the framework counts them, ``plain`` and
            with ``aux``.
        output_shapes: Output name -> shape.
        logits_error: Error of the logits against the float64 reference.
        worst: The largest error of any node or output against the reference.
        first: The first node, in the order of computation, whose error exceeds the tolerance.
        errors: Error of every node against the reference, in the order of ``Results.nodes``.
        top5: Indices of the backend's five largest logits.
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
        gradients: The largest difference of any parameter's gradient, relative to the largest
            gradient.
        of_input: The same for the gradient of the input.
        problems: Descriptions of the differences that exceed their tolerance.
        rules: Rule -> the largest difference of any weight or statistic after the last step,
            relative to the largest of them.
        losses: Rule -> relative difference of the losses, step by step.
        weights: Rule -> the largest difference of the sampled weights and statistics
            (``Training.sampled``), relative to the largest of them, step by step.
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

    Fields with a default describe training steps. They are omitted from JSON if there were none.

    Attributes:
        input_size: (height, width) used; smaller than the network's own, to save time and memory.
        batch: Examples in a batch.
        pairs: One for each pair of backends.
        problems: Descriptions of what is wrong.
        steps: Number of steps of each rule; 0 if only gradients were compared.
        rates: Rule -> learning rate: the largest of those tried at which training in the first
            backend does not amplify a change of 1e-12 in the weights, or else the smallest.
        losses: Backend -> rule -> losses, step by step.
        drift: Backend -> difference between its SGD in float32 and in float64, step by step: the
            largest difference of the sampled weights, relative to the largest of them.
        sampled: How many values were recorded after each step: all, or a sample for large networks.
        values: Total number of weights and statistics.
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
        """A description of the values that were compared after each step."""
        if self.sampled < self.values:
            return f"a sample of {self.sampled:,} of {self.values:,} weights and statistics"
        return f"all {self.values:,} weights and statistics"


_STEP_FIELDS = {"steps", "rates", "losses", "drift", "sampled", "values", "rules", "weights"}


@dataclass(frozen=True)
class Check:
    """One additional check of the level ``full``.

    Attributes:
        kind: ``size``, ``form`` (execution mode), ``precision``, ``engine`` or ``optimizer``.
        what: What was checked, such as ``batch 5 of 1x87x75, 7 classes`` or ``torch.compile``.
        backend: The backend's name.
        error: The measured error; None if there is no result, which is a failure unless ``limit``
            gives a reason.
        allowed: The tolerance; None if an error is only reported.
        node: Where the error is largest.
        note: A remark; for a failure, the error that the framework raised.
        limit: Why there is no result, if the backend declares such a limit or an optional engine
            is not installed.
        detail: The framework's own message, if it is too long to print.
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
        """Whether the result is within the tolerance, or missing for a declared reason."""
        if self.error is None:
            return bool(self.limit)
        return self.allowed is None or self.error <= self.allowed

    @property
    def problem(self) -> str:
        """A description of what is wrong; empty if the check passed."""
        if self.passed:
            return ""
        kind = "execution mode" if self.kind == "form" else self.kind
        if self.error is None:
            reason = f": {self.note}" if self.note else ""
            return f"{kind} {self.what}: no result{reason}"
        place = f" at {self.node}" if self.node else ""
        return f"{kind} {self.what}: error {self.error:.1e}{place}, allowed {self.allowed:.1e}"


@dataclass(frozen=True)
class Results:
    """All results of one verification; :class:`zoo.verification.Report` adds renderings.

    Attributes:
        model: Name of the model.
        options: The options that it was built with.
        dtype: The dtype that the backends computed in.
        level: ``forward``, ``gradients``, ``training`` or ``full``.
        tolerance: The largest error allowed at any node.
        seed: Random seed for the weights.
        image: The photograph.
        parameters: The graph's counts, ``plain`` and, where there are auxiliary heads, ``aux``.
        nodes: The nodes compared, in the order of computation.
        top5: Indices of the reference's five largest logits.
        results: One for each backend.
        pairs: One for each pair of backends that were compared.
        training: Gradients and training, if the level includes them.
        checks: The additional checks of the level ``full``.
        notes: Remarks for the reader, such as a smaller input size than the network's own.
        command: The equivalent command line.
        not_run: Why nothing was compared, such as a lack of memory; empty if something was.
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
        """Descriptions of everything that is wrong."""
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
        """Return everything as plain data for JSON; non-finite numbers become None."""
        plain: dict[str, Any] = _finite(asdict(self))
        if self.training and not self.training.steps:
            for record in (plain["training"], *plain["training"]["pairs"]):
                for name in _STEP_FIELDS & record.keys():
                    del record[name]
        return {"passed": self.passed, "problems": list(self.problems), **plain}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
