"""Runs a network forward in every backend, and holds every node against the NumPy meaning."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.graphs.graph import Graph
from zoo.verification.comparison import Worst, error, top
from zoo.verification.conditioned import conditioned, rounding
from zoo.verification.results import TOLERANCES, BackendResult, Pair
from zoo.verification.workers import Workers

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Found = dict[str, Any] | str

#: What the process of a job with float64 in it is started with, or JAX would make float32 of it.
FLOAT64 = {"JAX_ENABLE_X64": "1"}


@dataclass(frozen=True)
class Proof:
    """What every part of a proof is given.

    Attributes:
        path: Its folder.
        model: What workers are to build: a name, or ``file:name``.
        graph: The network, at the size that the part takes.
        asked: Backend -> what the caller called it.
        seed: Of the weights.
        workers: The processes.
        progress: Called with a word on what is being done next.
    """

    path: Path
    model: str
    graph: Graph
    asked: Mapping[str, str]
    seed: int
    workers: Workers
    progress: Callable[[str], None]


@dataclass
class Case:
    """One network, one input, and a folder in which its workers leave what they computed.

    Attributes:
        folder: Empty at first.
        model: What workers are to build: a name, or ``file:name``.
        graph: The network.
        counts: Trainable parameters, ``plain`` and, where there are heads, ``aux``.
        dtype: What the backends compute in.
        seed: Of the weights.
        tolerance: The largest error allowed at any node.
        reference: Node -> its value by the NumPy meaning, float64.
    """

    folder: Path
    model: str
    graph: Graph
    counts: Mapping[str, int]
    dtype: str
    seed: int
    tolerance: float
    reference: Mapping[str, Array]

    @classmethod
    def of(
        cls,
        folder: Path,
        model: str,
        graph: Graph,
        x: Array,
        dtype: str,
        seed: int,
        counts: Mapping[str, int] | None = None,
        timed: bool = False,
    ) -> Case:
        """Make weights, the reference and the job.

        Args:
            folder: Where; it is made.
            model: See above.
            graph: The network.
            x: float32 [N, C, H, W].
            dtype: float32 or float64.
            seed: Of the weights.
            counts: See above; with both, workers build the model with and without heads.
            timed: Whether to run the model several times and take the median.
        """
        folder.mkdir(exist_ok=True)
        weights, reference = conditioned(graph, x, seed)
        tolerance = TOLERANCES[dtype]
        if dtype == "float32":
            tolerance = max(tolerance, 4 * rounding(graph, x, weights, reference))
        counts = counts or {"aux" if graph.options["aux"] else "plain": graph.num_parameters}
        np.save(folder / "input.npy", x)
        np.savez(folder / "weights.npz", **dict[str, Any](weights))
        job = {
            "model": model,
            "options": dict(graph.options),
            "has_aux": len(counts) > 1,
            "dtype": dtype,
            "seed": seed,
            "timed": timed,
        }
        (folder / "job.json").write_text(json.dumps(job))
        return cls(folder, model, graph, counts, dtype, seed, tolerance, reference)

    def run(
        self,
        workers: Workers,
        backend: str,
        asked: str,
        environment: Mapping[str, str] | None = None,
    ) -> Found:
        """Have one backend do the job; returns what it tells, or why it found nothing."""
        double = FLOAT64 if self.dtype == "float64" or workers.keep else {}
        settings = {**double, **(environment or {})}
        return workers.work(self.folder, registry.resolve(backend), asked, "forward", settings)

    def errors(self, backend: str) -> dict[str, float]:
        """Node, or ``output:name``, -> error of what a backend left against the reference."""
        with np.load(self.folder / f"{backend}.npz", allow_pickle=False) as values:
            return {
                key: error(_value(values, key), self.reference[node])
                for key, node in self._aims().items()
            }

    def pairs(self, backends: Sequence[str]) -> tuple[Pair, ...]:
        """How far each two are from each other."""
        files = {b: np.load(self.folder / f"{b}.npz", allow_pickle=False) for b in backends}
        apart: dict[tuple[str, str], dict[str, float]] = {
            pair: {} for pair in combinations(backends, 2)
        }
        for key in self._aims():  # one node at a time, so that no more is held in memory
            values = {backend: _value(file, key) for backend, file in files.items()}
            for (a, b), found in apart.items():
                found[key] = error(values[a], values[b])
        for file in files.values():
            file.close()
        return tuple(
            Pair(a, b, found[self._logits], worst(found)) for (a, b), found in apart.items()
        )

    def judge(self, backend: str, found: Found, asked_for: bool) -> BackendResult:
        """Hold all that a backend showed against what it must be.

        Args:
            backend: Its name.
            found: What it told, or why it found nothing.
            asked_for: Whether it was asked for by name; then it may not be missing.
        """
        entry = registry.resolve(backend)
        if isinstance(found, str):
            missing = found == "not installed"
            return BackendResult(
                backend=entry.name,
                title=entry.title,
                versions=registry.versions(entry.packages),
                status="missing" if missing else "failed",
                problems=(found,) if asked_for or not missing else (),
            )
        shapes = found.pop("shapes")
        errors = self.errors(backend)
        first = next((Worst(e, k) for k, e in errors.items() if not e <= self.tolerance), None)
        with np.load(self.folder / f"{backend}.npz", allow_pickle=False) as values:
            logits = values[self._logits]
        return BackendResult(
            backend=entry.name,
            title=entry.title,
            status="compared",
            **found,
            logits_error=errors[self._logits],
            worst=worst(errors),
            first=first and _named(first),
            errors=tuple(errors[node.name] for node in self.graph.nodes),
            top5=tuple(top(logits)),
            problems=(*self._structure(found, shapes), *self._parted(first, errors)),
        )

    @property
    def top5(self) -> tuple[int, ...]:
        """The reference's five largest logits."""
        return tuple(top(self.reference[self._aims()[self._logits]]))

    def _structure(self, found: Mapping[str, Any], shapes: Mapping[str, Any]) -> list[str]:
        """Counts, parameters by name and shape, and outputs: what is not as in the graph."""
        problems = [
            f"{found['parameters'][kind]:,} parameters ({kind}), the graph has {count:,}"
            for kind, count in self.counts.items()
            if found["parameters"][kind] != count
        ]
        mine = {parameter.name: list(parameter.shape) for parameter in self.graph.parameters}
        for name in {**mine, **shapes}:
            if mine.get(name) != shapes.get(name):
                here, there = mine.get(name, "no such one"), shapes.get(name, "none")
                problems.append(f"parameter {name}: {there}, the graph has {here}")
        batch = len(next(iter(self.reference.values())))
        outputs = {name: [batch, *node.shape] for name, node in self.graph.output_nodes.items()}
        if found["output_shapes"] != outputs:
            problems.append(f"output {found['output_shapes']}, the graph has {outputs}")
        return problems

    def _parted(self, first: Worst | None, errors: Mapping[str, float]) -> list[str]:
        """Name the first node that is too far off, and the worst."""
        if first is None:
            return []
        first, most = _named(first), worst(errors)
        text = f"{first.node}: error {first.error:.1e} above {self.tolerance:.1e}"
        if first.node == most.node:
            return [text]
        return [f"{text}, the first of all nodes; the worst is {most.node}, {most.error:.1e}"]

    @property
    def _logits(self) -> str:
        return f"output:{self.graph.outputs[0].name}"

    def _aims(self) -> dict[str, str]:
        """What a backend left -> the node that it is, in the order they are computed."""
        aims = {node.name: node.name for node in self.graph.nodes}
        outputs = self.graph.output_nodes.items()
        return aims | {f"output:{name}": node.name for name, node in outputs}


def worst(errors: Mapping[str, float]) -> Worst:
    """Return the largest error, and of what it is."""
    node = max(errors, key=lambda name: errors[name])
    return _named(Worst(errors[node], node))


def _named(found: Worst) -> Worst:
    return Worst(found.error, found.node.replace("output:", "output "))


def _value(values: Mapping[str, Array], key: str) -> Array:
    return values[key] if key in values else np.empty(0)
