"""A block of a spec, and the same block as each framework's source code."""

from __future__ import annotations

import ast
import textwrap

import zoo
from pages.staging import ROOT
from zoo.writing.files import BACKENDS

#: What the first page and README show: a file of spec, a model of it, and one of its blocks.
FILE, MODEL, BLOCK = "squeezenet", "squeezenet1_0", "fire"


def spec() -> str:
    """Return the block's lines of the spec's file."""
    lines = (ROOT / f"spec/{FILE}.yaml").read_text().splitlines()
    start = lines.index(f"  {BLOCK}:")
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith("   "))
    return textwrap.dedent("\n".join(lines[start:end])) + "\n"


def sources() -> dict[str, str]:
    """Return backend -> the class, or in Keras the function, of the block."""
    return {backend: _definition(zoo.source(MODEL, backend)) for backend in BACKENDS}


def _definition(code: str) -> str:
    for node in ast.parse(code).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name.lower() == BLOCK:
            return f"{ast.get_source_segment(code, node)}\n"
    raise LookupError(f"{MODEL} has no {BLOCK}")
