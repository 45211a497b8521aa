"""The additional checks of level ``full``: inputs, execution modes, precisions and so on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.data import images
from zoo.errors import SpecError
from zoo.graphs.graph import Graph
from zoo.language import graphs
from zoo.verification import known_limitations, tolerances, training
from zoo.verification.case import Case, Outcome
from zoo.verification.comparison import Array, worst
from zoo.verification.context import FLOAT64, Context
from zoo.verification.results import Check
from zoo.verification.stages import write_job

#: (batch size, height and width to add to the training size, channels, classes)
_SIZES = ((5, (7, 19), 1, 7), (1, (13, 3), 4, 13), (2, (0, 0), 2, 2))


def check(
    context: Context, variants: Sequence[tuple[int, Graph]], rates: Mapping[str, float]
) -> tuple[Check, ...]:
    """Run all additional checks.

    Args:
        context: The network at its training size, and the backends.
        variants: What :func:`input_variants` returned.
        rates: Rule -> learning rate.
    """
    return (*_sizes(context, variants), *_modes(context, rates), *_engines(context))


def input_variants(graph: Graph) -> list[tuple[int, Graph]]:
    """Expand the spec for odd input sizes and for other batch sizes, channels and classes.

    Args:
        graph: The network at its training size.

    Returns:
        Batch sizes and graphs; fewer if the spec has a fixed size or lacks such an option.
    """
    variants = []
    for batch, added, channels, classes in _SIZES:
        with suppress(SpecError):
            variants.append((batch, _variant(graph, added, channels, classes)))
    return variants


def photographs(count: int, graph: Graph) -> Array:
    """Make a batch of different images, float32 [N, C, H, W], from the photograph zoo ships."""
    channels, height, width = graph.input_shape
    image = images.load(images.default(), (height, width), channels)[0]
    shifted = [np.roll(image, (3 * i, 5 * i), (1, 2)) * (1 - 0.1 * i) for i in range(count)]
    return np.ascontiguousarray(np.stack(shifted).astype(np.float32))


def _sizes(context: Context, variants: Sequence[tuple[int, Graph]]) -> Iterator[Check]:
    """Compare every node for other input shapes, in float64."""
    for number, (batch, graph) in enumerate(variants):
        case = _case(context, f"size{number}", batch, "float64", graph)
        shape = "x".join(map(str, graph.input_shape))
        classes = graph.output_nodes[graph.outputs[0].name].shape[0]
        description = f"batch {batch} of {shape}, {classes} classes"
        outcomes = context.for_each_backend(_runner(context, case), description, graph)
        for backend, outcome in outcomes.items():
            yield _compare("size", description, backend, case, outcome)


def _variant(graph: Graph, added: tuple[int, int], channels: int, classes: int) -> Graph:
    height, width = graph.options["input_size"]
    size = (height + added[0], width + added[1])
    options = {"in_channels": channels, "num_classes": classes, "classes": None}
    try:
        return graphs.with_options(graph, **options, input_size=size)
    except SpecError:
        return graphs.with_options(graph, **options)


def _modes(context: Context, rates: Mapping[str, float]) -> list[Check]:
    """Check execution modes, precisions and optimizers, in one job per backend."""
    folder, graph = context.path / "full", context.graph
    case = _case(context, "full", 2, "float64")
    training.write_batches(folder, graph)
    write_job(folder, graph=graph, seed=context.seed, rates=dict(rates))
    outputs = {name: case.reference[node.name] for name, node in graph.output_nodes.items()}
    np.savez(folder / "reference.npz", **dict[str, Any](outputs))

    def run(backend: str) -> Outcome:
        entry, requested = registry.resolve(backend), context.requested[backend]
        return context.workers.work(folder, entry, requested, "full", FLOAT64)

    description = "compiled, in lower precision, and with its own optimizers"
    checks = []
    for backend, outcome in context.for_each_backend(run, description).items():
        if isinstance(outcome, str):
            checks.append(Check("form", "all", backend, None, case.tolerance, note=outcome))
            continue
        for fields in outcome["checks"]:
            allowed = case.tolerance if fields["kind"] == "form" else None
            if fields["kind"] == "optimizer":
                rule = fields["what"].partition(",")[0]
                fields = {"note": known_limitations.optimizer_note(backend, rule), **fields}
            checks.append(Check(backend=backend, allowed=allowed, **fields))
    return _limit_float32_errors(checks)


def _limit_float32_errors(checks: list[Check]) -> list[Check]:
    """Allow each backend a small multiple of the smallest float32 error of any backend."""

    def is_float32(check: Check) -> bool:
        return (check.kind, check.what) == ("precision", "float32") and check.error is not None

    errors = [check.error for check in checks if is_float32(check) and check.error is not None]
    smallest = min(errors, default=0.0)
    allowed = max(tolerances.ROUNDING_FACTOR * smallest, tolerances.FORWARD["float32"])
    return [replace(check, allowed=allowed) if is_float32(check) else check for check in checks]


def _engines(context: Context) -> Iterator[Check]:
    """Compare every node on the other engines that a backend runs on, in float32."""
    for backend in context.requested:
        entry = registry.resolve(backend)
        for engine, environment in entry.engines.items():
            description = f"{backend} on {engine}"
            if not registry.is_importable(engine):
                reason = f"{engine} is not installed"
                yield Check("engine", description, backend, note=reason, limit=reason)
                continue
            context.progress(f"Running {entry.title} on {engine}")
            case = _case(context, f"{backend}-{engine}", 1, "float32")
            outcome = case.run(context.workers, backend, backend, environment)
            yield _compare("engine", description, backend, case, outcome)


def _case(context: Context, name: str, batch: int, dtype: str, graph: Graph | None = None) -> Case:
    graph = graph or context.graph
    x = photographs(batch, graph)
    return Case.prepare(context.path / name, graph, x, dtype, context.seed)


def _runner(context: Context, case: Case) -> Any:
    return lambda backend: case.run(context.workers, backend, context.requested[backend])


def _compare(kind: str, what: str, backend: str, case: Case, outcome: Outcome) -> Check:
    if isinstance(outcome, str):
        return Check(kind, what, backend, None, case.tolerance, note=outcome)
    largest = worst(case.errors(backend))
    return Check(kind, what, backend, largest.error, case.tolerance, largest.node)
