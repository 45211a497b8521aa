"""What the results of cells are held to, as files that all processes read.

Outputs are held to NumPy in float64, and gradients to those of one framework in float64. The
tolerances are those of ``zoo verify``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend.workloads import LOSS
from zoo.benchmarking.audit import Array
from zoo.benchmarking.results import Verdict
from zoo.errors import InputError
from zoo.files import write_text
from zoo.graphs.graph import Graph
from zoo.verification import tolerances
from zoo.verification.comparison import error, worst
from zoo.verification.conditioned_weights import conditioned, rounding
from zoo.verification.full import photographs
from zoo.verification.stages import build
from zoo.verification.training import differences

#: Larger rounding errors of gradients leave nothing to hold them to.
LARGEST = 0.05
_FRESH = 3  # inputs that no run has seen
_NOISE = 1e-6  # relative change of an input whose effect on gradients counts as rounding

Input = tuple[Array, Array]


def write(folder: Path, graph: Graph, dtypes: Iterable[str], seed: int) -> None:
    """Write the network, its weights, and what NumPy computes with them of two photographs.

    Args:
        folder: An empty folder.
        graph: The network.
        dtypes: What cells compute in.
        seed: Random seed for the weights.

    Raises:
        InputError: A value is not finite.
    """
    from safetensors.numpy import save_file

    x = photographs(2, graph)
    with np.errstate(over="ignore", invalid="ignore"):
        weights, values = conditioned(graph, x, seed)
    if not all(np.isfinite(value).all() for value in values.values()):
        raise InputError(f"{graph.name}: its values are not finite, so there is no reference")
    errors = {dtype: rounding(graph, x, weights, values, dtype) for dtype in dtypes}
    outputs = {name: values[node.name] for name, node in graph.output_nodes.items()}
    np.save(folder / "photographs.npy", x)
    np.savez(folder / "outputs.npz", **dict[str, Any](outputs))
    save_file(weights, folder / "weights.safetensors")
    write_text(folder / "graph.json", json.dumps(graph.to_dict()))
    write_text(folder / "rounding.json", json.dumps(errors))


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
    rows = [_rows(batch, which) for which in (0, 1)]
    found: list[Input] = [(np.ascontiguousarray(x[each]), labels) for each in rows]
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
    """Holds losses and gradients to those of a framework in float64."""

    def __init__(self, folder: Path, batch: int) -> None:
        place = folder / f"gradients{batch}"
        self.expected = []
        for which in (0, 1):
            with np.load(place / f"{which}.npz", allow_pickle=False) as file:
                self.expected.append(dict(file))
        stated = json.loads((place / "rounding.json").read_text(encoding="utf-8"))
        self.rounding = float(stated["rounding"])
        self.allowed = tolerances.gradients("float32", self.rounding)
        self.scale = largest(self.expected[0])

    def compare(self, found: Mapping[str, Array], which: int) -> Verdict:
        """Compare the loss and all gradients."""
        expected = self.expected[which]
        if self.rounding > LARGEST:
            return Verdict(self.rounding, LARGEST, "rounding alone, in float32")
        if found.keys() != expected.keys():
            return Verdict(float("inf"), self.allowed, "the names of parameters")
        names = [name for name in expected if name != LOSS]
        furthest, _ = differences(expected, found, names)
        loss = abs(float(found[LOSS]) - float(expected[LOSS])) / abs(float(expected[LOSS]))
        if not loss <= furthest.error:
            return Verdict(loss if loss == loss else float("inf"), self.allowed, LOSS)
        return Verdict(furthest.error, self.allowed, f"gradient of {furthest.node}")


def write_gradients(folder: Path, backend: Any, batch: int, seed: int) -> None:
    """Differentiate in float64, and measure by how much rounding to float32 changes the result.

    Args:
        folder: What :func:`write` filled.
        backend: It differentiates.
        batch: Images.
        seed: As there.
    """
    from safetensors.numpy import load_file

    graph, weights = read_graph(folder).without_dropout(), load_file(folder / "weights.safetensors")
    given = inputs(folder, graph, batch)[:2]
    place = folder / f"gradients{batch}"
    place.mkdir(exist_ok=True)
    models = {}
    for dtype in ("float64", "float32"):
        models[dtype] = build(backend, graph, dtype, seed)
        backend.set_weights(models[dtype], weights)
    noise = 1 + _NOISE * np.random.default_rng(0).standard_normal(given[0][0].shape)
    error = 0.0
    for which, (x, labels) in enumerate(given):
        exact = _gradients(backend, models["float64"], x, labels)
        rounded: dict[str, Any] = {n: v.astype(np.float32) for n, v in exact.items()}
        np.savez(place / f"{which}.npz", **rounded)
        names = [name for name in exact if name != LOSS]
        for image in (x, (x * noise).astype(np.float32)):
            single = _gradients(backend, models["float32"], image, labels)
            error = max(error, differences(exact, single, names)[0].error)
    write_text(place / "rounding.json", json.dumps({"rounding": min(error, 1e308)}))


def largest(gradients: Mapping[str, Array]) -> float:
    """Return the largest gradient, or 1 if all are 0."""
    found = (float(np.abs(v).max(initial=0)) for n, v in gradients.items() if n != LOSS)
    return max(found, default=0.0) or 1.0


def _gradients(backend: Any, model: Any, x: Array, labels: Array) -> dict[str, Array]:
    loss, gradients, _ = backend.gradients(model, x, labels)
    return {LOSS: np.asarray(loss, np.float64), **gradients}


def _rows(batch: int, which: int) -> Sequence[int]:
    return [(row + which) % 2 for row in range(batch)]
