"""Puts a source file together: docstring, imports, constants, classes and ``main``."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Mapping, Sequence

from zoo.errors import BackendError
from zoo.graphs.graph import Graph
from zoo.language.places import Span
from zoo.writing.collection import Collection
from zoo.writing.dialect import Dialect
from zoo.writing.docstrings import returned
from zoo.writing.layout import paragraph
from zoo.writing.marks import plain
from zoo.writing.modules import ModuleWriter
from zoo.writing.pieces import Piece, Table
from zoo.writing.unification import unified

MOST_AUTHORS = 4
BACKENDS = ("torch", "paddle", "keras", "flax")


def write(graph: Graph, backend: str) -> tuple[str, list[Span]]:
    """Return the source code of a network for one of zoo's backends, and whose each part is."""
    dialect: Dialect = importlib.import_module(f"zoo.writing.{backend}").DIALECT
    found = unified(Collection(graph), dialect.describe, dialect.fields, dialect.pairs)
    pieces = found.pieces
    pieces[-1].about = returned(graph, pieces[-1], dialect)
    writer = _writer(dialect, pieces, found.tables.constants)
    classes = writer.classes()
    constants = writer.constants.lines()
    network = pieces[-1]
    main = ["def main():", *(f"    {line}" for line in dialect.main(writer.name(network)))]
    code = "\n\n\n".join([*classes, "\n".join(main), 'if __name__ == "__main__":\n    main()'])
    begins = ["\n".join(lines) for lines in (dialect.setup(graph), constants) if lines]
    head = "\n".join(_docstring(graph, dialect, network))
    tree = ast.parse(plain("\n".join((*begins, code))))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imports = _imports(dialect, used)
    start = f"{head}\n\n{imports}\n"
    start += "".join(f"\n{lines}\n" for lines in begins)
    return writer.marks.spans(f"{start}\n\n{code}\n")


def _writer(dialect: Dialect, pieces: Sequence[Piece], tables: Mapping[str, Table]) -> ModuleWriter:
    if dialect.backend == "keras":
        from zoo.writing.functions import FunctionWriter

        return FunctionWriter(dialect, pieces, tables)
    if dialect.backend == "flax":
        from zoo.writing.flax_modules import FlaxWriter

        return FlaxWriter(dialect, pieces, tables)
    return ModuleWriter(dialect, pieces, tables)


def _imports(dialect: Dialect, used: set[str]) -> str:
    lines: list[str] = []
    for names, line in dialect.imports.items():
        module = line.split()[1]
        if set(names.split()) <= used and not any(f"from {module} " in other for other in lines):
            lines.append(line)
    standard = [line for line in lines if _is_standard(line)]
    others = [line for line in lines if not _is_standard(line)]
    return "\n\n".join("\n".join(group) for group in (standard, others) if group)


def _is_standard(line: str) -> bool:
    return line.split()[1].split(".")[0] in sys.stdlib_module_names


def _docstring(graph: Graph, dialect: Dialect, network: Piece) -> list[str]:
    paper = graph.about.get("paper") or {}
    title = graph.about.get("title") or graph.name
    name = f" ({graph.name})" if graph.name != graph.about.get("family") else ""
    about = str(graph.about.get("about") or "")
    lines = paragraph([f"{title}{name} in {TITLES[dialect.backend]}. {about}".strip()], 0, '"""')
    if paper:
        authors = str(paper["authors"]).split(", ")
        by = f"{authors[0]} et al." if len(authors) > MOST_AUTHORS else ", ".join(authors)
        lines += ["", *paragraph([f"{paper['title']}. {by}, {paper['year']}."], 0)]
        lines.append(str(paper["url"]))
    return [*lines, '"""'] if len(lines) > 1 else [f'{lines[0]}"""']


TITLES = {"torch": "PyTorch", "paddle": "PaddlePaddle", "keras": "Keras 3", "flax": "Flax NNX"}


def checked(backend: str) -> None:
    """Reject a backend that no source can be written for."""
    if backend not in BACKENDS:
        raise BackendError(f"no source can be written for {backend}")
