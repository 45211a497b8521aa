"""One network with one input: runs it in every backend and measures the errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.verification import tolerances
from zoo.verification.comparison import Array, error, top, worst
from zoo.verification.conditioned_weights import conditioned, rounding
from zoo.verification.context import FLOAT64
from zoo.verification.parallel import in_background
from zoo.verification.results import Pair
from zoo.verification.stages import write_job
from zoo.verification.workers import Workers

#: What a worker returned, or the reason why it returned nothing.
Outcome = dict[str, Any] | str


@dataclass
class Case:
    """One network with one input, and the folder to which workers write their results.

    Attributes:
        folder: The job's folder.
        graph: The network.
        counts: Number of trainable parameters: ``plain`` and, where there are heads, ``aux``.
        dtype: The dtype that the backends compute in.
        reference: Node name -> its value in the NumPy reference, float64.
    """

    folder: Path
    graph: Graph
    counts: Mapping[str, int]
    dtype: str
    reference: Mapping[str, Array]
    _rounding_error: Future[float] | None = None

    @classmethod
    def prepare(
        cls,
        folder: Path,
        graph: Graph,
        x: Array,
        dtype: str,
        seed: int,
        counterpart: Graph | None = None,
    ) -> Case:
        """Create the weights, the reference values and the job.

        Args:
            folder: The job's folder; created if needed.
            graph: The network.
            x: float32 [N, C, H, W].
            dtype: float32 or float64.
            seed: Random seed for the weights.
            counterpart: The same network with its auxiliary heads, or without; its parameters are
                counted too.
        """
        folder.mkdir(exist_ok=True)
        with np.errstate(over="ignore", invalid="ignore"):
            weights, reference = conditioned(graph, x, seed)
        _check_finite(graph, reference)
        np.save(folder / "input.npy", x)
        np.savez(folder / "weights.npz", **dict[str, Any](weights))
        write_job(folder, graph=graph, counterpart=counterpart, dtype=dtype, seed=seed)
        networks = [graph] if counterpart is None else [graph, counterpart]
        counts = {"aux" if g.options["aux"] else "plain": g.num_parameters for g in networks}
        rounding_error = None
        if dtype == "float32":
            rounding_error = in_background(rounding, graph, x, weights, reference)
        return cls(folder, graph, counts, dtype, reference, rounding_error)

    @property
    def tolerance(self) -> float:
        """The largest error allowed at any node; in float32 it depends on the network."""
        if self._rounding_error is None:
            return tolerances.forward(self.dtype)
        rounding_error = self._rounding_error.result()
        if not math.isfinite(rounding_error):
            raise InputError(
                f"{self.graph.name}: its values overflow float32, even in NumPy; verify it in "
                "float64 (--dtype float64)"
            )
        return tolerances.forward(self.dtype, rounding_error)

    def run(
        self,
        workers: Workers,
        backend: str,
        requested: str,
        environment: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run one backend; return its result, or the reason why there is none."""
        variables = {**self.environment(self.dtype, workers), **(environment or {})}
        return workers.work(self.folder, registry.resolve(backend), requested, "forward", variables)

    @staticmethod
    def environment(dtype: str, workers: Workers) -> Mapping[str, str]:
        """Return the environment variables that a worker is started with."""
        return FLOAT64 if dtype == "float64" or workers.keep else {}

    def errors(self, backend: str) -> dict[str, float]:
        """Return the error of each node and of each output, ``output:name``, of a backend."""
        with np.load(self.folder / f"{backend}.npz", allow_pickle=False) as values:
            return {
                key: error(_value(values, key), self.reference[node])
                for key, node in self._nodes().items()
            }

    def pairs(self, backends: Sequence[str]) -> tuple[Pair, ...]:
        """Compare every pair of backends."""
        files = {b: np.load(self.folder / f"{b}.npz", allow_pickle=False) for b in backends}
        errors: dict[tuple[str, str], dict[str, float]] = {
            pair: {} for pair in combinations(backends, 2)
        }
        for key in self._nodes():  # one node at a time, to save memory
            values = {backend: _value(file, key) for backend, file in files.items()}
            for (a, b), pair_errors in errors.items():
                pair_errors[key] = error(values[a], values[b])
        for file in files.values():
            file.close()
        return tuple(
            Pair(a, b, pair_errors[self.logits], worst(pair_errors))
            for (a, b), pair_errors in errors.items()
        )

    def top5(self, backend: str | None = None) -> tuple[int, ...]:
        """Return the indices of the five largest logits of a backend, or of the reference."""
        if backend is None:
            return tuple(top(self.reference[self._nodes()[self.logits]]))
        with np.load(self.folder / f"{backend}.npz", allow_pickle=False) as values:
            return tuple(top(values[self.logits]))

    @property
    def logits(self) -> str:
        """The key of the first output."""
        return f"output:{self.graph.outputs[0].name}"

    def _nodes(self) -> dict[str, str]:
        """Key in a backend's file -> name of the node, in the order of computation."""
        nodes = {node.name: node.name for node in self.graph.nodes}
        outputs = self.graph.output_nodes.items()
        return nodes | {f"output:{name}": node.name for name, node in outputs}


def _value(values: Mapping[str, Array], key: str) -> Array:
    return values[key] if key in values else np.empty(0)


def _check_finite(graph: Graph, reference: Mapping[str, Array]) -> None:
    """Reject a network whose reference values are not finite."""
    for name, value in reference.items():
        if not np.isfinite(value).all():
            raise InputError(
                f"{graph.name}: the values of {name} are not finite in float64, even in NumPy, so "
                "there is nothing to compare with"
            )
