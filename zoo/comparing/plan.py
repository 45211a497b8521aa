"""Turns a study into runs: what each is of, and all that determines its result."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.api.preprocessing import recipe_of
from zoo.backend import registry
from zoo.backend.description import Description
from zoo.comparing import conditions, examples, switches
from zoo.comparing.results import Condition
from zoo.comparing.setup import Case, Setup
from zoo.comparing.study import StudyFile
from zoo.data.labeled import Dataset
from zoo.errors import InputError, listed
from zoo.language import graphs
from zoo.verification.memory import NotEnoughMemoryError, available, needed
from zoo.verification.workers import FRAMEWORK

#: What a process is told to do, as plain data.
Job = dict[str, Any]


@dataclass(frozen=True)
class Planned:
    """A run that a study consists of. Runs of the same key are one, trained once.

    Attributes:
        condition: What it is of.
        backend: The framework.
        values: Switch -> value.
        key: The digest of all that determines its result.
        job: What a process is told; see :func:`zoo.comparing.training.train`.
    """

    condition: Condition
    backend: str
    values: Mapping[str, Any]
    key: str
    job: Job = field(repr=False, compare=False)


@dataclass(frozen=True)
class Comparison:
    """A network, a dataset and a combination of the grid, in all frameworks.

    Attributes:
        case: The network, the data and the recipe.
        grid: The combination.
        relevant: The switches that can matter.
        factors: Those whose native value differs from the aligned one in a framework.
        images: How many images there are to train on.
        runs: The runs.
    """

    case: Case
    grid: Mapping[str, Any]
    relevant: tuple[str, ...]
    factors: tuple[str, ...]
    images: int
    runs: tuple[Planned, ...] = field(repr=False)


def planned(study: StudyFile) -> list[Comparison]:
    """Return all runs of a study.

    Raises:
        UnknownNameError: There is no such model or dataset.
        InputError, SpecError: The parts of the study do not fit together.
    """
    entries = study.entries
    found = []
    for source in study.data:
        data = examples.opened(source, study.train_images, study.validation_images)
        for model in study.models:
            for cell in study.cells:
                found.append(_comparison(study, entries, model, source, data, cell))
    _check_switches(study, found)
    return found


def capacity(comparisons: list[Comparison], study: StudyFile) -> int:
    """Return how many runs fit side by side.

    Raises:
        NotEnoughMemoryError: Not even one does.
    """
    most = max(map(memory, comparisons))
    room = int(0.8 * available())
    if most > room:
        raise NotEnoughMemoryError(
            f"a run of this study needs about {most / 2**30:.1f} GiB, and {room / 2**30:.1f} GiB "
            "are free; choose a smaller batch_size or input_size, or fewer images"
        )
    processors = len(os.sched_getaffinity(0)) // study.threads
    return max(1, min(processors, room // most))


def memory(comparison: Comparison) -> int:
    """Estimate how many bytes a run needs: values, gradients, and what the optimizer keeps."""
    graph, recipe = comparison.case.graph, comparison.case.recipe
    values = sum(math.prod(node.shape) for node in graph.nodes)
    return FRAMEWORK + needed(graph, 8) + 4 * 3 * recipe.batch_size * values


def digest(value: Any) -> str:
    """Return the SHA-256 of plain data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _comparison(
    study: StudyFile,
    entries: list[Description],
    model: str,
    source: str,
    data: Dataset,
    cell: Mapping[str, Any],
) -> Comparison:
    recipe = study.recipe_of(model, source, cell)
    size = recipe.input_size
    graph = graphs.graph(
        model,
        aux=recipe.aux,
        num_classes=len(data.classes),
        classes=data.classes,
        in_channels=recipe.in_channels,
        input_size=(size[0], size[1]) if isinstance(size, list) else size,
    )
    if recipe.batch_size > len(data.train):
        raise InputError(
            f"batch_size: {source} has {len(data.train):,} images to train on, got "
            f"{recipe.batch_size:,}"
        )
    inputs = graph.input_shape.height, graph.input_shape.width
    resized = examples.are_resized(data, inputs, recipe_of(graph))
    case = Case(graph, recipe, study.stated, resized)
    chosen = None if study.switches is None else tuple(study.switches)
    relevant = switches.relevant(case, chosen)
    by_backend = [
        switches.values(case, relevant, frozenset(relevant), e, study.native.get(e.name, {}))
        for e in entries
    ]
    aligned = switches.values(case, relevant, frozenset(), entries[0], {})
    factors = [n for n in relevant if any(each[n] != aligned[n] for each in by_backend)]
    if study.explain and len(factors) > conditions.MOST:
        raise InputError(
            f"switches: at most {conditions.MOST} can be explained, got {len(factors)}"
        )
    context = _Context(study, case, source, data)
    runs = tuple(
        context.run(condition, entry, relevant)
        for condition in conditions.all_of(
            graph.name,
            source,
            cell,
            seeds=study.seeds,
            factors=factors,
            explain=study.explain,
            crossed=study.crossed,
            repeats=study.repeats,
        )
        for entry in entries
    )
    return Comparison(case, cell, tuple(relevant), tuple(factors), len(data.train), runs)


class _Context:
    """Makes the jobs of a comparison, and keeps what many of them have in common."""

    def __init__(self, study: StudyFile, case: Case, source: str, data: Dataset) -> None:
        self.study, self.case = study, case
        self.data = {
            "source": _absolute(source),
            "train_images": study.train_images,
            "validation_images": study.validation_images,
            "digests": [data.train.digest, data.validation.digest],
        }
        self.weights = _file_digest(case.recipe.weights)
        self.weights_file = _absolute(case.recipe.weights)
        self._setups: dict[Any, tuple[Setup, str]] = {}
        self._graphs: dict[str, Any] = {}

    def run(self, condition: Condition, entry: Description, relevant: list[str]) -> Planned:
        """Return the run of a condition in a framework."""
        overrides = self.study.native.get(entry.name, {})
        values = switches.values(self.case, relevant, condition.native, entry, overrides)
        setup, graph_digest = self._setup(values, entry.name, condition.order_seed)
        job: Job = {
            "backend": entry.name,
            "graph": self._graphs[graph_digest],
            "data": self.data,
            "recipe": {**setup.recipe.to_dict(), "weights": self.weights_file},
            "init": setup.init,
            "weights_seed": condition.weights_seed,
            "native_optimizer": setup.native_optimizer,
            "decoupled": setup.decoupled,
            "unbiased": setup.unbiased,
            "images": dict(setup.images),
            "deterministic": condition.deterministic,
            "repeat": condition.repeat,
            "threads": self.study.threads,
            "versions": versions(entry),
        }
        # Names and places are not what decides: the same network and images may have others.
        said = {k: v for k, v in job["recipe"].items() if k not in ("model", "data", "weights")}
        decisive = {
            **job,
            "graph": graph_digest,
            "data": self.data["digests"],
            "recipe": {**said, "weights": self.weights},
        }
        return Planned(condition, entry.name, values, digest(decisive)[:32], job)

    def _setup(self, values: Mapping[str, Any], backend: str, seed: int) -> tuple[Setup, str]:
        """Return how a run computes, and the digest of its graph, which no seed changes."""
        others = {name: value for name, value in values.items() if name != switches.ORDER.name}
        chosen = backend, json.dumps(others)
        if chosen not in self._setups:
            setup = switches.applied(self.case, others, backend)
            data = setup.graph.to_dict()
            name = digest(data)
            self._graphs.setdefault(name, data)
            self._setups[chosen] = setup, name
        setup, name = self._setups[chosen]
        order = values.get(switches.ORDER.name)
        return switches.ORDER.apply(setup.with_recipe(seed=seed), order, backend), name


def versions(entry: Description) -> dict[str, str]:
    """Return the versions of the packages that a result depends on."""
    return registry.versions(["polyzoo", *entry.packages, *entry.requires, "numpy", "pillow"])


def packages(study: StudyFile) -> list[str]:
    """Return the packages that the results of a study depend on."""
    return list(dict.fromkeys(name for entry in study.entries for name in versions(entry)))


def unique(comparisons: list[Comparison]) -> Iterator[Planned]:
    """Yield the runs to be trained: each key once, in the order of seeds, then of comparisons."""
    seen: set[str] = set()
    each = [comparison.runs for comparison in comparisons]
    for place in range(max(map(len, each), default=0)):
        for runs in each:
            if place < len(runs) and runs[place].key not in seen:
                seen.add(runs[place].key)
                yield runs[place]


def _absolute(path: str | None) -> str | None:
    """Return a path as other processes find it; what is no path stays."""
    return os.path.abspath(path) if path is not None and os.path.exists(path) else path


def _file_digest(weights: str | None) -> str | None:
    if weights is None or not os.path.isfile(weights):
        return weights
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_switches(study: StudyFile, found: list[Comparison]) -> None:
    """Reject a switch that was asked for and cannot matter anywhere."""
    asked = [*(study.switches or ()), *(name for each in study.native.values() for name in each)]
    for name in dict.fromkeys(asked):
        if not any(name in comparison.relevant for comparison in found):
            switch = switches.SWITCHES[name]
            reasons = (f"{c.case.graph.name}: {switch.irrelevance(c.case)}" for c in found)
            raise InputError(f"switches: {name} cannot matter: {listed(dict.fromkeys(reasons))}")
