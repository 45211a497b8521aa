"""The reference of the operations, from their registry and from the backends' descriptions."""

from __future__ import annotations

import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pages.tabs import TITLES
from zoo import ops
from zoo.backend import registry
from zoo.ops.composite import Composite
from zoo.ops.grammar import Field

_INTRODUCTION = """\
# Operations

Every operation of [the spec language](language.md), by family. The **shape rule** computes the
shape of the output, and puts everything that a builder needs into the attributes of the node. The
**definition** is what every framework must compute in evaluation mode, within 1e-12 in float64.
Both are the code that zoo runs.
"""


def page() -> str:
    """Return the page of all operations."""
    parts = [_INTRODUCTION]
    for family, names in itertools.groupby(ops.OPS, key=lambda name: ops.OPS[name].family):
        parts.append(f"## {family.capitalize()}\n")
        parts += ["\n".join(_operation(name, ops.OPS[name])) for name in names]
    return "\n".join(parts)


def _operation(name: str, op: type[ops.Op]) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield _prose(op.__doc__ or "") + "\n"
    if fields := op.own_fields().values():
        explained = any(field.doc for field in fields)
        yield "| field | default | meaning |" if explained else "| field | default |"
        yield "|---|---|---|" if explained else "|---|---|"
        for field in fields:
            meaning = f" {field.doc} |" if explained else ""
            yield f"| `{field.key}` | {_default(field)} |{meaning}"
        yield ""
    if op.words:
        yield f"Also called {', '.join(f'`{word}`' for word in op.words)}.\n"
    yield f"{_support(name)}\n"
    yield from _code("Shape rule", op.infer)
    if not issubclass(op, Composite):
        yield from _code("Definition", op.meaning)


def _support(name: str) -> str:
    limits = {title: registry.resolve(b).limits.get(name) for b, title in TITLES.items()}
    limited = [f"{title}: {limit}" for title, limit in limits.items() if limit]
    if not limited:
        return "Supported by all frameworks and ONNX."
    return f"Supported by all frameworks and ONNX. In {'; in '.join(limited)}."


def _default(field: Field[Any]) -> str:
    if field.required:
        return "required"
    if field.default is None:
        return ""
    return f"`{json.dumps(field.default).replace('e-0', 'e-')}`"


def _prose(text: str) -> str:
    """Return a docstring as Markdown."""
    return inspect.cleandoc(text).replace("``", "`")


def _code(title: str, function: Any) -> Iterator[str]:
    yield f":::{{dropdown}} {title}\n```python"
    yield textwrap.dedent(inspect.getsource(function)).rstrip()
    yield "```\n:::\n"
