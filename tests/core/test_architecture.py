"""The picture of imports: rooms import downwards only, and no two modules import each other.

Read from the syntax trees, so that imports within functions count as well.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

import zoo

ROOT = Path(zoo.__file__).parent

#: From the bottom up. Rooms of one line do not import each other.
LEVELS = (
    ("errors",),
    ("arguments",),
    ("files",),
    ("jobs",),
    ("downloads",),
    ("data",),
    ("graphs",),
    ("ops",),
    ("language",),
    ("weights",),
    ("backend",),
    ("torch", "paddle", "keras", "flax", "onnx"),
    ("api",),
    ("training",),
    ("verification",),
    ("exporting",),
    ("benchmarking",),
    ("comparing",),
    ("views",),
    ("writing",),
    ("testing",),
    ("cli",),
    ("__main__",),
)
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}

#: ``import zoo`` from below the rooms of the public verbs: a convenience each.
UPWARDS = {
    "zoo.graphs.graph": "Graph.summary calls zoo.summary",
    "zoo.onnx.model": "a file says which version of zoo wrote it",
}

MODULES = {
    ".".join(("zoo", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).parts[0] != "spec"
}


@functools.cache
def imports(module: str) -> set[str]:
    """Every module of zoo that one imports, be it within a function or for types alone."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else str(node.module))
    return {name for name in found if name in MODULES} - {module}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_its_level():
    rooms = {room(module) for module in MODULES} - {""}
    assert rooms == set(LEVEL), rooms ^ set(LEVEL)


@pytest.mark.parametrize("module", [m for m in MODULES if room(m)])
def test_imports_go_downwards(module):
    own = room(module)
    for other in imports(module):
        if other == "zoo":  # whose verbs live in rooms up to views
            high = LEVEL[own] > LEVEL["api"]
            assert high or module in UPWARDS, f"{module} imports zoo itself"
        elif room(other) != own:
            assert LEVEL[room(other)] < LEVEL[own], f"{module} imports {other}"


def test_no_two_modules_import_each_other():
    """No circle, however long."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            circle = [*path[path.index(module) :], module]
            raise AssertionError(" -> ".join(circle))
        if module not in done:
            for other in sorted(imports(module) - {"zoo"}):
                visit(other, [*path, module])
            done.add(module)

    for module in sorted(MODULES):
        if module != "zoo":  # it names where each verb is, and imports it when asked for
            visit(module, [])
