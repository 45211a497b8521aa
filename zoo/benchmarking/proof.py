"""Holds the results of cells to a reference that was computed before.

Outputs are held to NumPy in float64, and losses and gradients to those of one framework in float64.
The tolerances are those of ``zoo verify``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.backend.workloads import LOSS
from zoo.benchmarking.audit import Array
from zoo.benchmarking.results import Verdict
from zoo.graphs.graph import Graph
from zoo.verification import tolerances
from zoo.verification.comparison import differences, error, worst

#: By how much gradients in float32 may differ, relative to the largest, from those in float64. They
#: are not continuous: a rounding error that changes the sign of what a ReLU is given changes them
#: by far more than itself. So a cell is proven in float64, within the tolerance of ``zoo verify``;
#: this is to notice if it then computes something else.
ROUNDED = 0.05
_FRESH = 5  # inputs that no run has seen

Input = tuple[Array, Array]


def read_graph(folder: Path) -> Graph:
    """Return the network."""
    return Graph.from_dict(json.loads((folder / "graph.json").read_text(encoding="utf-8")))


def inputs(folder: Path, graph: Graph, batch: int) -> list[Input]:
    """Return the inputs of a batch: two whose images are the same in another order, and others.

    Returns:
        Pairs of images, float32 [N, C, H, W], and labels, int64 [N].
    """
    x = np.load(folder / "photographs.npy")
    classes = graph.output_nodes[graph.outputs[0].name].shape[0]
    labels = np.arange(batch, dtype=np.int64) * 7 % classes
    found: list[Input] = [
        (np.ascontiguousarray(x[_rows(batch, which)]), labels) for which in (0, 1)
    ]
    for number in range(_FRESH):
        found.append((found[0][0] * np.float32(0.9 - 0.1 * number), labels))
    return found


class Outputs:
    """Holds the outputs of forward passes to NumPy's."""

    scale = 1.0

    def __init__(self, folder: Path, dtype: str, batch: int) -> None:
        with np.load(folder / "outputs.npz", allow_pickle=False) as file:
            self.outputs = dict(file)
        errors = json.loads((folder / "rounding.json").read_text(encoding="utf-8"))
        self.allowed, self.batch = tolerances.forward(dtype, errors[dtype]), batch

    def compare(self, found: Mapping[str, Array], which: int) -> Verdict:
        """Compare all outputs."""
        rows = _rows(self.batch, which)
        errors = {
            f"output:{name}": error(found[name], value[rows]) if name in found else float("inf")
            for name, value in self.outputs.items()
        }
        largest = worst(errors)
        return Verdict(largest.error, self.allowed, largest.node)


class Gradients:
    """Holds losses and gradients to those of a framework in float64.

    Attributes:
        scale: The largest gradient.
    """

    def __init__(self, folder: Path, dtype: str, batch: int) -> None:
        self.expected = []
        for which in (0, 1):
            with np.load(folder / f"gradients{batch}.{which}.npz", allow_pickle=False) as file:
                self.expected.append(dict(file))
        self.of_loss = tolerances.GRADIENTS[dtype]
        self.allowed = self.of_loss if dtype == "float64" else ROUNDED
        self.names = [name for name in self.expected[0] if name != LOSS]
        largest = max(float(np.abs(self.expected[0][name]).max(initial=0)) for name in self.names)
        self.scale = largest or 1.0

    def compare(self, found: Mapping[str, Array], which: int) -> Verdict:
        """Compare the loss and all gradients; return what is further from its tolerance."""
        expected = self.expected[which]
        if found.keys() != expected.keys():
            return Verdict(float("inf"), self.allowed, "the names of parameters")
        given, stated = float(found[LOSS]), float(expected[LOSS])
        loss = abs(given - stated) / abs(stated) if np.isfinite(given) else float("inf")
        if not loss <= self.of_loss:
            return Verdict(loss, self.of_loss, LOSS)
        furthest, _ = differences(expected, found, self.names)
        return Verdict(furthest.error, self.allowed, f"gradient of {furthest.node}")


def _rows(batch: int, which: int) -> Sequence[int]:
    return [(row + which) % 2 for row in range(batch)]
