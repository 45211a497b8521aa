"""Compares an ONNX model of another program with a spec, as ``zoo verify`` does with a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.api.models import Array
from zoo.backend.unwrapping import find
from zoo.errors import BackendError, InputError, WeightsError
from zoo.graphs.graph import Graph
from zoo.language.options import Chosen
from zoo.verification.foreign import interface, weights
from zoo.verification.foreign.interface import Input
from zoo.verification.foreign.verify import compare, reason_of
from zoo.weights.checkpoint import reporting_damage
from zoo.weights.reading import onnx_file


def is_program(model: Any) -> bool:
    """Tell whether a model is an ONNX model that zoo did not build."""
    backend, inner = find(model)
    return backend.description.name == "onnx" and backend.graph_of(inner) is None


def check(
    model: Any,
    graph: Graph,
    x: Array,
    names: Mapping[str, str],
    level: str,
    tolerance: float | None,
    requested: Chosen,
) -> None:
    """Compare an ONNX model with a network.

    Args:
        model: An ``onnx.ModelProto``.
        graph: The network, for the size of ``x``.
        x: [N, C, H, W].
        names: zoo's name of a block, node or parameter -> the name of the model's initializers;
            empty for zoo's own names, or those of a publisher.
        level: ``structure`` or ``forward``.
        tolerance: As for :func:`zoo.testing.assert_same`.
        requested: The options of the network that the caller chose; others follow the model.

    Raises:
        AssertionError: They differ.
        InputError: The model has no such input, or the level needs training.
    """
    from zoo.onnx import foreign

    if level not in ("structure", "forward"):
        raise InputError(f"level={level!r}: an ONNX model can only be run; use level='forward'")
    title = model.graph.name or "this ONNX model"
    foreign.check(model, title)
    with reporting_damage(title, "an ONNX model"):
        contents = onnx_file.contents(memoryview(model.SerializeToString()), None)
    given = interface.input_of(contents, title)
    interface.check_input(given, graph, title)
    if given.batch not in (None, len(x)):
        count = f"{given.batch} example{'s' * (given.batch != 1)}"
        raise InputError(f"{title} takes {count} at once, x has {len(x)}")
    try:
        filled = weights.from_file(contents, graph, requested, names or None, title)
    except WeightsError as problem:
        raise AssertionError(f"{title} is not {graph.name}: {problem}") from None
    if level == "structure":
        return

    def run(given: Input, x: Array) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        try:
            return foreign.run(model, given.name, x)
        except Exception as error:  # an engine may raise anything
            raise BackendError(f"{title} cannot be run: {reason_of(str(error))}") from error

    x = x.astype("float32")
    report = compare(contents, filled, given, x, run, title, "on x", tolerance=tolerance)
    if not report.passed:
        raise AssertionError(f"{title} is not {graph.name}: {report.problems[0]}")
