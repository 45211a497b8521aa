"""Computes what the results of cells are held to, and writes it to files that processes read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend.workloads import LOSS
from zoo.benchmarking import proof
from zoo.errors import InputError
from zoo.files import write_text
from zoo.graphs.graph import Graph
from zoo.verification import memory
from zoo.verification.conditioned_weights import conditioned, rounding
from zoo.verification.full import photographs
from zoo.verification.stages import build


def check_memory(graph: Graph) -> None:
    """Check that there is enough memory to compute a reference.

    Raises:
        InputError: There is not.
    """
    needed = memory.needed(graph, 4) + 16 * sum(math.prod(node.shape) for node in graph.nodes)
    if needed > 0.8 * memory.available():
        raise memory.NotEnoughMemoryError(
            f"{graph.name} needs about {needed / 2**30:.1f} GiB for its reference, more than is "
            "available; choose a smaller input_size"
        )


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


def write_gradients(folder: Path, backend: Any, batch: int, seed: int) -> None:
    """Differentiate the training loss in float64, for both inputs of a batch.

    Args:
        folder: What :func:`write` filled.
        backend: It differentiates.
        batch: Images.
        seed: As there.
    """
    from safetensors.numpy import load_file

    graph = proof.read_graph(folder).without_dropout()
    model = build(backend, graph, "float64", seed)
    backend.set_weights(model, load_file(folder / "weights.safetensors"))
    for which, given in enumerate(proof.inputs(folder, graph, batch)[:2]):
        loss, gradients, _ = backend.gradients(model, *given)
        arrays: dict[str, Any] = {LOSS: np.asarray(loss, np.float64), **gradients}
        np.savez(folder / f"gradients{batch}.{which}.npz", **arrays)
