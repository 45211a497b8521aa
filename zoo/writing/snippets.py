"""Takes from a backend's own modules what its framework lacks, as text.

The modules are read, not imported, so that no framework needs to be installed.
"""

from __future__ import annotations

import ast
import copy
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import zoo
from zoo.writing import layout
from zoo.writing.folding import Text
from zoo.writing.scope import names_in

Definition = ast.ClassDef | ast.FunctionDef

#: Methods that a source file does without.
_LEFT_OUT = ("extra_repr",)


class Snippets:
    """The classes and functions of a module.

    Args:
        text: The module.
        instead: Definitions that take the place of those of the same name.
    """

    def __init__(self, text: str, instead: str = "") -> None:
        self.definitions: dict[str, Definition] = {}
        self.lines: dict[str, list[str]] = {}
        for module in (text, instead):
            for node in ast.parse(module).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    self.definitions[node.name] = node
                    self.lines[node.name] = module.splitlines()

    def inlined(self, name: str, arguments: Mapping[str, Any], method: str) -> str | None:
        """Return what a class computes as one expression; None if that takes more.

        Args:
            name: The name of the class, or of a function.
            arguments: What it is made with: constants.
            method: The method that computes.

        Returns:
            The expression, in which ``input`` stands for the input and ``*inputs`` for several.
        """
        definition = self.definitions.get(name)
        if not isinstance(definition, ast.ClassDef):
            return None
        methods = {n.name: n for n in definition.body if isinstance(n, ast.FunctionDef)}
        computing = methods.get(method)
        if computing is None or (not all(map(_is_plain, definition.bases))):
            return None
        body = [n for n in computing.body if not isinstance(n, ast.Expr)]
        if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
            return None
        if any(isinstance(value, Text) for value in arguments.values()):
            return None
        names = {a.arg: "input" for a in computing.args.args if a.arg != "self"}
        if computing.args.vararg:
            names[computing.args.vararg.arg] = "inputs"
        expression = _Inliner(arguments, names).visit(
            ast.parse(ast.unparse(body[0].value), mode="eval")
        )
        text = ast.unparse(expression).replace("'", '"')
        return None if "self" in names_in(text) else text

    def closure(self, name: str) -> list[str]:
        """Return the names of what a definition needs, and its own, in the order of the file."""
        found: set[str] = set()

        def visit(name: str) -> None:
            if name in found or name not in self.definitions:
                return
            found.add(name)
            for part in self._kept(self.definitions[name]):
                for node in ast.walk(part):
                    if isinstance(node, ast.Name):
                        visit(node.id)

        visit(name)
        return [name for name in self.definitions if name in found]

    def _kept(self, definition: Definition) -> Iterator[ast.AST]:
        """Yield the parts of a definition that are written."""
        yield from definition.decorator_list
        yield from getattr(definition, "bases", [])
        yield from (n for n in definition.body if getattr(n, "name", "") not in _LEFT_OUT)

    def text(self, name: str) -> str:
        """Return the text of a definition, without the types of arguments and of variables."""
        definition, lines = self.definitions[name], self.lines[name]
        start = min([definition.lineno, *(d.lineno for d in definition.decorator_list)])
        kept = dict(enumerate(lines[start - 1 : definition.end_lineno], start))
        for node in getattr(definition, "body", []):
            if getattr(node, "name", "") in _LEFT_OUT:
                for number in range(node.lineno - 1, node.end_lineno + 1):
                    kept.pop(number)  # and the empty line before it
        for function in ast.walk(definition):
            if not isinstance(function, ast.FunctionDef) or function.lineno not in kept:
                continue
            end = function.lineno
            while not kept[end].endswith(":"):
                end += 1
            for number in range(function.lineno, end + 1):
                kept.pop(number)
            kept[function.lineno] = "\n".join(_head(function))
            for node in ast.walk(function):
                if isinstance(node, ast.AnnAssign):
                    line = kept[node.lineno]
                    cut = line[: node.target.end_col_offset], line[node.annotation.end_col_offset :]
                    kept[node.lineno] = "".join(cut)
        return "\n".join(kept[number] for number in sorted(kept))


def _head(function: ast.FunctionDef) -> list[str]:
    """Return the first lines of a function, without types."""
    arguments = copy.deepcopy(function.args)
    for node in ast.walk(arguments):
        if isinstance(node, ast.arg):
            node.annotation = None
    parameters = re.split(r", (?![^(]*\))", ast.unparse(arguments))
    return layout.lines("def ", layout.call(function.name, parameters), ":", function.col_offset)


@functools.cache
def of_backend(backend: str, instead: str) -> Snippets:
    """Return the definitions of a backend's ``modules.py``, and those that replace some."""
    path = Path(zoo.__file__).parent / backend / "modules.py"
    return Snippets(path.read_text(encoding="utf-8"), instead)


def _is_plain(base: ast.expr) -> bool:
    """Tell whether a base class computes nothing itself."""
    return ast.unparse(base) in ("nn.Module", "nn.Layer", "nnx.Module")


class _Inliner(ast.NodeTransformer):
    def __init__(self, arguments: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self.arguments, self.names = arguments, names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if ast.unparse(node.value) == "self" and node.attr in self.arguments:
            return ast.parse(repr(self.arguments[node.attr]), mode="eval").body
        return self.generic_visit(node)
