"""Compares the result of one backend with the graph and the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.backend import registry
from zoo.verification.case import Case, Outcome
from zoo.verification.comparison import Worst, readable, worst
from zoo.verification.results import BackendResult


def judge(case: Case, backend: str, outcome: Outcome, required: bool) -> BackendResult:
    """Compare parameters, outputs and every node.

    Args:
        case: The network, the input and the reference.
        backend: The backend's name.
        outcome: What its worker returned, or the reason why it returned nothing.
        required: Whether it was requested by name, so that a missing framework is a problem.
    """
    entry = registry.resolve(backend)
    if isinstance(outcome, str):
        missing = outcome == "not installed"
        install = f": python -m pip install '{entry.install}'" if missing and entry.install else ""
        return BackendResult(
            backend=entry.name,
            title=entry.title,
            versions=registry.versions(entry.packages),
            status="missing" if missing else "failed",
            problems=(outcome + install,) if required or not missing else (),
        )
    fields = {key: value for key, value in outcome.items() if key != "shapes"}
    errors = case.errors(backend)
    first = next((Worst(e, k) for k, e in errors.items() if not e <= case.tolerance), None)
    return BackendResult(
        backend=entry.name,
        title=entry.title,
        status="compared",
        **fields,
        logits_error=errors[case.logits],
        worst=worst(errors),
        first=first and readable(first),
        errors=tuple(errors[node.name] for node in case.graph.nodes),
        top5=case.top5(backend),
        problems=(*_structure(case, outcome), *_divergence(case, first, errors)),
    )


def _structure(case: Case, outcome: Mapping[str, Any]) -> list[str]:
    """Report parameter counts, names and shapes, and output shapes that differ from the graph."""
    problems = [
        f"{outcome['parameters'][kind]:,} parameters ({kind}), the graph has {count:,}"
        for kind, count in case.counts.items()
        if outcome["parameters"][kind] != count
    ]
    expected = {parameter.name: list(parameter.shape) for parameter in case.graph.parameters}
    shapes = outcome["shapes"]
    for name in {**expected, **shapes}:
        if expected.get(name) != shapes.get(name):
            actual, in_graph = shapes.get(name, "missing"), expected.get(name, "no such parameter")
            problems.append(f"parameter {name}: {actual}, the graph has {in_graph}")
    batch = len(next(iter(case.reference.values())))
    outputs = {name: [batch, *node.shape] for name, node in case.graph.output_nodes.items()}
    if outcome["output_shapes"] != outputs:
        problems.append(f"output {outcome['output_shapes']}, the graph has {outputs}")
    return problems


def _divergence(case: Case, first: Worst | None, errors: Mapping[str, float]) -> list[str]:
    """Report the first node whose error exceeds the tolerance, and the worst one."""
    if first is None:
        return []
    first, largest = readable(first), worst(errors)
    text = f"{first.node}: error {first.error:.1e} above {case.tolerance:.1e}"
    if first.node == largest.node:
        return [text]
    return [f"{text}; the first node to diverge. The worst is {largest.node}, {largest.error:.1e}"]
