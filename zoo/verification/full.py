"""What else a proof looks at: other inputs, forms, precisions, engines and optimizers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.data import images
from zoo.errors import SpecError
from zoo.graphs.graph import Graph
from zoo.language import graphs
from zoo.verification import training
from zoo.verification.forward import FLOAT64, Case, Proof, worst
from zoo.verification.results import Check

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: (batch, height and width beside those of the size that is trained at, channels, classes)
_SIZES = ((5, (7, 19), 1, 7), (1, (13, 3), 4, 13), (2, (0, 0), 2, 2))


def check(proof: Proof, rates: Mapping[str, float]) -> tuple[Check, ...]:
    """Do all of it.

    Args:
        proof: What to prove, at the size that it is trained at.
        rates: Rule -> learning rate.
    """
    return (*_sizes(proof), *_others(proof, rates), *_engines(proof))


def photographs(count: int, graph: Graph) -> Array:
    """Make a batch of different photographs, float32 [N, C, H, W], of the one that zoo ships."""
    channels, height, width = graph.input_shape
    one = images.load(images.default(), (height, width), channels)[0]
    each = [np.roll(one, (3 * i, 5 * i), (1, 2)) * (1 - 0.1 * i) for i in range(count)]
    return np.ascontiguousarray(np.stack(each).astype(np.float32))


def _sizes(proof: Proof) -> Iterator[Check]:
    """Odd sizes and other batches, channels and classes: every node, in float64."""
    for number, (batch, beside, channels, classes) in enumerate(_SIZES):
        try:
            other = _other(proof, beside, channels, classes)
        except SpecError:  # the spec is for one size, or has no such option
            continue
        case = _case(proof, f"size{number}", batch, "float64", other)
        shape = "x".join(map(str, other.input_shape))
        outputs = other.output_nodes[other.outputs[0].name].shape[0]
        what = f"batch {batch} of {shape}, {outputs} classes"
        for backend, words in proof.asked.items():
            proof.progress(f"{registry.resolve(backend).title}, {what}")
            yield _compared("size", what, backend, case, case.run(proof.workers, backend, words))


def _other(proof: Proof, beside: tuple[int, int], channels: int, classes: int) -> Graph:
    height, width = proof.graph.options["input_size"]
    size = (height + beside[0], width + beside[1])
    options = {**proof.graph.options, "in_channels": channels, "num_classes": classes}
    try:
        return graphs.graph(proof.model, **{**options, "input_size": size})
    except SpecError:
        return graphs.graph(proof.model, **options)


def _others(proof: Proof, rates: Mapping[str, float]) -> list[Check]:
    """Forms, precisions and optimizers: a job for each backend."""
    folder, graph = proof.path / "full", proof.graph
    job = {
        "model": proof.model,
        "options": dict(graph.options),
        "seed": proof.seed,
        "rates": dict(rates),
    }
    training.prepare(folder, graph, job)
    case = _case(proof, "full", 2, "float64")
    (folder / "job.json").write_text(json.dumps(job))
    outputs = {name: case.reference[node.name] for name, node in graph.output_nodes.items()}
    np.savez(folder / "reference.npz", **dict[str, Any](outputs))
    found = []
    for backend, words in proof.asked.items():
        entry = registry.resolve(backend)
        proof.progress(f"{entry.title}, compiled, in lower precision, and with its own optimizers")
        result = proof.workers.work(folder, entry, words, "full", FLOAT64)
        if isinstance(result, str):
            found.append(Check("form", "eager", backend, None, case.tolerance, note=result))
            continue
        for raw in result["checks"]:
            allowed = case.tolerance if raw["kind"] == "form" and "error" in raw else None
            why = registry.resolve(backend).optimizer_notes.get(raw["what"].partition(",")[0], "")
            noted = {"note": why, **raw} if raw["kind"] == "optimizer" else raw
            found.append(Check(backend=backend, allowed=allowed, **noted))
    return _held_to_the_best(found)


def _held_to_the_best(found: list[Check]) -> list[Check]:
    """Allow each backend four times the float32 error of the best."""

    def single(check: Check) -> bool:
        return (check.kind, check.what) == ("precision", "float32") and check.error is not None

    errors = [check.error for check in found if single(check) and check.error is not None]
    allowed = max(4 * min(errors, default=0.0), 1e-5)
    return [replace(check, allowed=allowed) if single(check) else check for check in found]


def _engines(proof: Proof) -> Iterator[Check]:
    """The other engines that a backend runs on, in float32."""
    for backend in proof.asked:
        entry = registry.resolve(backend)
        for engine, environment in entry.engines.items():
            what = f"{backend} on {engine}"
            if not registry.is_importable(engine):
                yield Check("engine", what, backend, note=f"{engine} is not installed")
                continue
            proof.progress(f"{entry.title} on {engine}")
            case = _case(proof, f"{backend}-{engine}", 1, "float32")
            result = case.run(proof.workers, backend, backend, environment)
            yield _compared("engine", what, backend, case, result)


def _case(proof: Proof, name: str, batch: int, dtype: str, graph: Graph | None = None) -> Case:
    graph = graph or proof.graph
    x = photographs(batch, graph)
    return Case.of(proof.path / name, proof.model, graph, x, dtype, proof.seed)


def _compared(kind: str, what: str, backend: str, case: Case, found: dict[str, Any] | str) -> Check:
    if isinstance(found, str):
        return Check(kind, what, backend, None, case.tolerance, note=found)
    most = worst(case.errors(backend))
    return Check(kind, what, backend, most.error, case.tolerance, most.node)
