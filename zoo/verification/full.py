"""The further checks of level ``full``: other inputs, forms, precisions, engines and optimizers."""

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
from zoo.verification import limits, tolerances, training
from zoo.verification.case import Case, Outcome
from zoo.verification.comparison import Array, worst
from zoo.verification.context import FLOAT64, Context
from zoo.verification.results import Check
from zoo.verification.stages import write_job

#: (batch, height and width to add to the size that is trained at, channels, classes)
_SIZES = ((5, (7, 19), 1, 7), (1, (13, 3), 4, 13), (2, (0, 0), 2, 2))


def check(
    context: Context, others: Sequence[tuple[int, Graph]], rates: Mapping[str, float]
) -> tuple[Check, ...]:
    """Do all further checks.

    Args:
        context: The network at the size that it is trained at, and the backends.
        others: What :func:`other_inputs` returned.
        rates: Rule -> learning rate.
    """
    return (*_sizes(context, others), *_variants(context, rates), *_engines(context))


def other_inputs(model: str, graph: Graph) -> list[tuple[int, Graph]]:
    """Make a network for odd sizes and other batches, channels and classes.

    Args:
        model: Its name or YAML file.
        graph: The network at the size that it is trained at.

    Returns:
        Batch sizes and graphs; fewer where the spec is for one size or has no such option.
    """
    others = []
    for batch, added, channels, classes in _SIZES:
        with suppress(SpecError):
            others.append((batch, _other(graph, model, added, channels, classes)))
    return others


def photographs(count: int, graph: Graph) -> Array:
    """Make a batch of different photographs, float32 [N, C, H, W], from the one that zoo ships."""
    channels, height, width = graph.input_shape
    one = images.load(images.default(), (height, width), channels)[0]
    each = [np.roll(one, (3 * i, 5 * i), (1, 2)) * (1 - 0.1 * i) for i in range(count)]
    return np.ascontiguousarray(np.stack(each).astype(np.float32))


def _sizes(context: Context, others: Sequence[tuple[int, Graph]]) -> Iterator[Check]:
    """Other inputs: every node, in float64."""
    for number, (batch, other) in enumerate(others):
        case = _case(context, f"size{number}", batch, "float64", other)
        shape = "x".join(map(str, other.input_shape))
        outputs = other.output_nodes[other.outputs[0].name].shape[0]
        what = f"batch {batch} of {shape}, {outputs} classes"
        outcomes = context.each(_running(context, case), what, other)
        for backend, outcome in outcomes.items():
            yield _compared("size", what, backend, case, outcome)


def _other(graph: Graph, model: str, added: tuple[int, int], channels: int, classes: int) -> Graph:
    height, width = graph.options["input_size"]
    size = (height + added[0], width + added[1])
    options = {**graph.options, "in_channels": channels, "num_classes": classes}
    try:
        return graphs.graph(model, **{**options, "input_size": size})
    except SpecError:
        return graphs.graph(model, **options)


def _variants(context: Context, rates: Mapping[str, float]) -> list[Check]:
    """Forms, precisions and optimizers: one job for each backend."""
    folder, graph = context.path / "full", context.graph
    case = _case(context, "full", 2, "float64")
    training.write_batches(folder, graph)
    write_job(folder, graph=graph, seed=context.seed, rates=dict(rates))
    outputs = {name: case.reference[node.name] for name, node in graph.output_nodes.items()}
    np.savez(folder / "reference.npz", **dict[str, Any](outputs))

    def run(backend: str) -> Outcome:
        entry, requested = registry.resolve(backend), context.requested[backend]
        return context.workers.work(folder, entry, requested, "full", FLOAT64)

    what = "compiled, in lower precision, and with its own optimizers"
    checks = []
    for backend, outcome in context.each(run, what).items():
        if isinstance(outcome, str):
            checks.append(Check("form", "all", backend, None, case.tolerance, note=outcome))
            continue
        for fields in outcome["checks"]:
            allowed = case.tolerance if fields["kind"] == "form" else None
            if fields["kind"] == "optimizer":
                rule = fields["what"].partition(",")[0]
                fields = {"note": limits.optimizer_note(backend, rule), **fields}
            checks.append(Check(backend=backend, allowed=allowed, **fields))
    return _compared_with_the_best(checks)


def _compared_with_the_best(checks: list[Check]) -> list[Check]:
    """Allow each backend a small multiple of the float32 error of the best."""

    def single(check: Check) -> bool:
        return (check.kind, check.what) == ("precision", "float32") and check.error is not None

    errors = [check.error for check in checks if single(check) and check.error is not None]
    best = min(errors, default=0.0)
    allowed = max(tolerances.ROUNDING_FACTOR * best, tolerances.FORWARD["float32"])
    return [replace(check, allowed=allowed) if single(check) else check for check in checks]


def _engines(context: Context) -> Iterator[Check]:
    """The other engines that a backend runs on, in float32."""
    for backend in context.requested:
        entry = registry.resolve(backend)
        for engine, environment in entry.engines.items():
            what = f"{backend} on {engine}"
            if not registry.is_importable(engine):
                reason = f"{engine} is not installed"
                yield Check("engine", what, backend, note=reason, limit=reason)
                continue
            context.progress(f"Running {entry.title} on {engine}")
            case = _case(context, f"{backend}-{engine}", 1, "float32")
            outcome = case.run(context.workers, backend, backend, environment)
            yield _compared("engine", what, backend, case, outcome)


def _case(context: Context, name: str, batch: int, dtype: str, graph: Graph | None = None) -> Case:
    graph = graph or context.graph
    x = photographs(batch, graph)
    return Case.prepare(context.path / name, graph, x, dtype, context.seed)


def _running(context: Context, case: Case) -> Any:
    return lambda backend: case.run(context.workers, backend, context.requested[backend])


def _compared(kind: str, what: str, backend: str, case: Case, outcome: Outcome) -> Check:
    if isinstance(outcome, str):
        return Check(kind, what, backend, None, case.tolerance, note=outcome)
    largest = worst(case.errors(backend))
    return Check(kind, what, backend, largest.error, case.tolerance, largest.node)
