"""Makes the node of an operation: computes its expressions and infers its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, NodeShape
from zoo.language.scope import Scope
from zoo.ops import Op, ShapeError
from zoo.ops.expressions import is_expression
from zoo.ops.kinds import Mismatch


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a local name while a block is expanded.

    Attributes:
        step: The local step that computes it, or ``input``.
        node: The node that computes it, as a path name, or ``input``.
        shape: Without the batch.
        layout: The map that a vector was flattened from.
    """

    step: str
    node: str
    shape: NodeShape
    layout: Map | None = None


def make(op: Op, sources: Sequence[Value], scope: Scope) -> Node:
    """Make the node of an operation.

    Args:
        op: The operation, as the spec writes it.
        sources: The values that it reads.
        scope: The scope of the layer.

    Raises:
        SpecError: The operation does not fit these shapes, or an expression has an invalid value.
    """
    least, most = op.arity
    if not least <= len(sources) <= most:
        takes = f"{least} input" if most == least else f"{least} to {most} inputs"
        scope.fail(f"{op.op} takes {takes}, got {len(sources)}")
    op = _computed(op, scope)
    layouts = {source.layout for source in sources}
    if len(layouts) > 1:
        scope.fail("it joins flattened maps of different shapes; join the maps before flatten")
    shapes = tuple(source.shape for source in sources)
    try:
        inferred = op.infer(shapes, layouts.pop())
    except ShapeError as error:
        scope.fail(str(error))
    return Node(
        scope.path,
        op.op,
        tuple(source.node for source in sources),
        shapes,
        inferred.shape,
        inferred.attributes,
        tuple([p.of(scope.path) for p in inferred.parameters]),
        inferred.macs,
        inferred.layout,
    )


def has_no_outputs(op: Op, scope: Scope) -> bool:
    """Tell whether an operation states 0 outputs, as the classifier does if it is omitted.

    Raises:
        SpecError: An expression has an invalid value.
    """
    stated = op.given()
    numbers = [stated[key] for key in ("out_features", "out_channels") if key in stated]
    return any(is_expression(value) and scope.compute(value) == 0 for value in numbers)


def _computed(op: Op, scope: Scope) -> Op:
    """Evaluate the expressions of an operation, and check their values."""
    written = op.given()
    values: dict[str, Any] = {key: scope.compute(value, key) for key, value in written.items()}
    if values == written:
        return op
    try:
        return type(op).read(values)
    except Mismatch as mismatch:
        key = str(mismatch.location[0])
        scope.fail(mismatch.computed_from(written[key]), key)
