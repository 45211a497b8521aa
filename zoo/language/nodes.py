"""Makes a node of an operation: its expressions computed, its shapes inferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from zoo.errors import quoted
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, Shape, named
from zoo.language.scope import Scope
from zoo.ops import OPS, Op, ShapeError
from zoo.ops.fields import Layer


@dataclass(frozen=True, slots=True)
class Value:
    """What a local name stands for while a block is expanded.

    Attributes:
        step: The local step that computes it, or ``input``.
        node: The node that computes it, as a path name, or ``input``.
        shape: Without the batch.
        layout: (C, H, W) of a flattened map.
    """

    step: str
    node: str
    shape: Shape
    layout: Shape | None = None


def make(op: Op, sources: Sequence[Value], at: Scope) -> Node:
    """Make the node of an operation.

    Args:
        op: As the spec writes it.
        sources: What it reads.
        at: Where it stands.

    Raises:
        SpecError: The operation cannot be done on these shapes, or a value came out that it does
            not take.
    """
    least, most = op.arity
    if not least <= len(sources) <= most:
        takes = f"{least} input" if most == least else f"{least} to {most} inputs"
        at.fail(f"{op.op} takes {takes}, got {len(sources)}")
    op = _computed(op, at)
    layouts = {source.layout for source in sources}
    if len(layouts) > 1:
        at.fail("it joins flattened maps of different shapes; join the maps, then flatten")
    shapes = tuple(source.shape for source in sources)
    try:
        found = op.infer(shapes, layouts.pop())
    except ShapeError as error:
        at.fail(str(error))
    return Node(
        at.path,
        op.op,
        tuple(source.node for source in sources),
        tuple(map(named, shapes)),
        named(found.shape),
        found.attributes,
        tuple(replace(p, name=f"{at.path}.{p.name}") for p in found.parameters),
        found.macs,
        Map(*found.layout) if found.layout else None,
    )


def _computed(op: Op, at: Scope) -> Op:
    """Compute an operation's expressions and check the values that came out."""
    own = {key: value for key, value in op if key not in Layer.model_fields}
    values: dict[str, Any] = {key: at.compute(value, key) for key, value in own.items()}
    sizes = sum(len(v) for v in values.values() if isinstance(v, list))
    at.spend(10 * sizes)  # they are checked, and the shape rule reads them
    if values == own:
        return op
    try:
        return OPS[op.op].model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        at.fail(f"{first['msg']}, got {quoted(values[key])} from {quoted(own[key])}", key)
