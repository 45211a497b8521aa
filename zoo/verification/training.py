"""Holds gradients and ten steps of training of the backends against each other, in float64.

There is no NumPy meaning to hold them to, so each two backends are compared: gradients of the
training loss for every parameter and for the input, in training mode with dropouts that drop
nothing; then losses, weights and running statistics over ten steps of each written rule.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from zoo import backends as registry
from zoo.errors import SpecError
from zoo.language import expansion
from zoo.network import Graph
from zoo.verification import rules, workers
from zoo.verification.comparison import Worst

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

GRADIENTS = 1e-10  # the largest difference allowed, over the largest gradient of the model
TRAINING = 1e-8  # that of weights and statistics after ten steps, over the largest of them
BATCH = 4

_SIDES = (64, 80, 96, 112, 128, 160, 192, 224)


@dataclass(frozen=True)
class TrainingPair:
    """How far two backends are from each other.

    Attributes:
        a, b: The backends.
        loss: Relative difference of the first loss.
        gradients: The largest difference of any parameter's gradient over the largest gradient.
        of_input: The same of the gradient for the input.
        rules: Rule -> that of any weight or statistic after the last step.
        losses: Rule -> relative difference of the losses, step by step.
    """

    a: str
    b: str
    loss: float
    gradients: Worst
    of_input: float
    rules: Mapping[str, Worst] = field(default_factory=dict)
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is beyond what is allowed, in words."""
        found = [
            (f"gradient of {self.gradients.node}", self.gradients.error, GRADIENTS),
            ("gradient of the input", self.of_input, GRADIENTS),
            ("loss", self.loss, GRADIENTS),
            *((f"{w.node} after {rule}", w.error, TRAINING) for rule, w in self.rules.items()),
        ]
        return tuple(
            f"{self.a} - {self.b}: {what}: {error:.1e} above {most:.0e}"
            for what, error, most in found
            if not error <= most
        )


@dataclass(frozen=True)
class Training:
    """The result of the levels ``gradients`` and ``training``.

    Attributes:
        input_size: (height, width) that it was done at; smaller than the network's own, to save
            time and memory.
        batch: Examples in a batch.
        steps: Of each rule; 0 if only gradients were compared.
        rates: Rule -> learning rate: the largest of those tried at which training does not blow
            a change of 1e-12 in the weights up, in the first backend; or the smallest.
        losses: Backend -> rule -> losses, step by step.
        drift: Backend -> how far SGD in float32 is from that backend's own in float64, step by
            step: the largest difference of a sample of weights over the largest of them.
        seconds: Backend -> what it took.
        pairs: One for each two backends.
        problems: What went wrong, in words.
    """

    input_size: tuple[int, int]
    batch: int
    steps: int
    rates: Mapping[str, float]
    losses: Mapping[str, Mapping[str, Sequence[float]]]
    drift: Mapping[str, Sequence[float]]
    seconds: Mapping[str, float]
    pairs: tuple[TrainingPair, ...]
    problems: tuple[str, ...]


def compare(
    path: Path,
    job: Mapping[str, Any],
    graph: Graph,
    asked: Mapping[str, str],
    steps: bool,
    progress: Callable[[str], None],
) -> Training:
    """Run a worker for each backend and compare what they leave.

    Args:
        path: The folder of a proof's job, which :func:`zoo.verify` made.
        job: What was run forward.
        graph: The network.
        asked: Backend -> what the caller called it.
        steps: Whether to train, beside comparing gradients.
        progress: Called with a word on what is being done next.
    """
    size = smaller(job["model"], graph)
    options = {**graph.options, "input_size": list(size)}
    names = list(rules.RULES) if steps else []
    small = {**job, "options": options, "rules": names, "rates": None}
    shape = (graph.input_shape[0], *size)
    for i, (x, labels) in enumerate(rules.batches(shape, BATCH, graph.options["num_classes"])):
        np.savez(path / f"batch{i}.npz", x=x, labels=labels)
    found: dict[str, dict[str, Any]] = {}
    problems = []
    for backend, words in asked.items():
        entry = registry.resolve(backend)
        progress(f"{entry.title}, {'training' if steps else 'gradients'}")
        (path / "training.json").write_text(json.dumps(small))
        result = workers.work(path, entry, words, "training")
        if isinstance(result, dict):
            found[backend] = result
            small["rates"] = result["rates"]  # the first finds them for all
        elif result != "not installed":
            problems.append(f"{entry.title}: {result}")
    progress("comparing gradients")
    pairs = tuple(_pair(path, a, b, found, names) for a, b in combinations(found, 2))
    return Training(
        input_size=size,
        batch=BATCH,
        steps=rules.STEPS if steps else 0,
        losses={backend: result["losses"] for backend, result in found.items()},
        rates=small["rates"] or {},
        drift={backend: result["drift"] for backend, result in found.items()},
        seconds={backend: result["seconds"] for backend, result in found.items()},
        pairs=pairs,
        problems=(*problems, *(problem for pair in pairs for problem in pair.problems)),
    )


def smaller(model: str, graph: Graph) -> tuple[int, int]:
    """Return the smallest usual input size that a network can be made for, or its own."""
    own: tuple[int, int] = tuple(graph.options["input_size"])
    for side in _SIDES:
        if side >= max(own):
            break
        try:
            expansion.graph(model, **{**graph.options, "input_size": side})
        except SpecError:
            continue
        return side, side
    return own


def _pair(
    path: Path, a: str, b: str, found: Mapping[str, Any], names: Sequence[str]
) -> TrainingPair:
    first, second = found[a], found[b]
    with _opened(path, a, "gradients") as one, _opened(path, b, "gradients") as other:
        of_input = _apart(one, other, ["input"])
        gradients = _apart(one, other, [name for name in one if name != "input"])
    after = {}
    for rule in names:
        with _opened(path, a, rule) as one, _opened(path, b, rule) as other:
            after[rule] = _apart(one, other, list(one))
    losses = {}
    for rule in names:
        both = zip(first["losses"][rule], second["losses"][rule], strict=True)
        losses[rule] = [_relative(p, q) for p, q in both]
    loss = _relative(first["loss"], second["loss"])
    return TrainingPair(a, b, loss, gradients, of_input.error, after, losses)


def _opened(path: Path, backend: str, what: str) -> Any:
    return np.load(path / f"{backend}.{what}.npz", allow_pickle=False)


def _apart(one: Mapping[str, Array], other: Mapping[str, Array], names: Sequence[str]) -> Worst:
    """The largest difference over the largest value, of all these arrays together."""
    worst, largest = Worst(0.0, names[0]), 0.0
    for name in names:
        a, b = one[name], other[name]
        largest = max(largest, float(np.abs(a).max()))
        difference = float(np.abs(a - b).max()) if a.shape == b.shape else float("inf")
        if not difference <= worst.error:  # NaN too
            worst = Worst(difference if difference == difference else float("inf"), name)
    return Worst(worst.error / largest if largest else worst.error, worst.node)


def _relative(a: float, b: float) -> float:
    return abs(a - b) / abs(a) if a else abs(b)
