"""Builds a model, counts its parameters and runs it.

Reads job.json, input.npy and weights.npz. Writes BACKEND.npz: the value of every node, and of every
output that ``zoo.predict`` returns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.verification.stages import build, read_job


def run(folder: Path, name: str, requested: str) -> dict[str, Any]:
    """Run the job."""
    import zoo
    from zoo.backend import registry

    job = read_job(folder)
    backend: Any = registry.load(requested)
    graph, counterpart = job["graph"], job["counterpart"]
    model = build(backend, graph, job["dtype"], job["seed"])
    parameters = {_kind(graph): backend.count_parameters(model)}
    shapes = {key: list(shape) for key, shape in backend.shapes(model).items()}
    x = np.load(folder / "input.npy")
    with np.load(folder / "weights.npz", allow_pickle=False) as weights:
        zoo.set_weights(model, weights)
    outputs = zoo.predict(model, x)
    graph = zoo.graph_of(model)
    values = zoo.features(model, x, [node.name for node in graph.nodes])
    # predict may run other code than features, so both are compared with the reference.
    named = outputs if isinstance(outputs, dict) else {graph.outputs[0].name: outputs}
    arrays: dict[str, Any] = {**values, **{f"output:{key}": v for key, v in named.items()}}
    np.savez(folder / f"{name}.npz", **arrays)
    if counterpart is not None:
        model = build(backend, counterpart, job["dtype"], job["seed"])
        parameters[_kind(counterpart)] = backend.count_parameters(model)
    engine = backend.engine()  # for Keras, which supports several
    packages = registry.resolve(name).packages
    return {
        "versions": registry.versions([packages[0], engine] if engine else packages),
        "parameters": parameters,
        "shapes": shapes,
        "output_shapes": {key: list(value.shape) for key, value in named.items()},
    }


def _kind(graph: Any) -> str:
    return "aux" if graph.options["aux"] else "plain"
