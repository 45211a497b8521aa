"""Reads a lesson, runs it in this process, and checks what it prints and what it says.

A lesson is a MyST Markdown notebook, which jupytext reads and myst-nb shows. The file
``outputs/NAME.txt`` has what its cells print. A cell with the tag ``varies`` prints what depends on
the machine, such as a time. It is run, but what it prints is not compared.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import jupytext

FOLDER = Path(__file__).parent
OUTPUTS = FOLDER / "outputs"
SETUP = FOLDER / "preparations.py"
#: What tables that are printed as text see of the terminal.
ENVIRONMENT = {"COLUMNS": "110"}


@dataclass(frozen=True)
class Lesson:
    """A page of the course.

    Attributes:
        name: The name of the file without its suffix.
    """

    name: str

    @cached_property
    def notebook(self) -> Any:
        """The page as an nbformat notebook without outputs."""
        return jupytext.read(FOLDER / f"{self.name}.md", fmt="md:myst")

    @property
    def title(self) -> str:
        """The question that the page answers."""
        return self.notebook.cells[0].source.partition("\n")[0].removeprefix("# ")

    @property
    def topics(self) -> list[str]:
        """What the page is about: words by which other pages can find it."""
        return list(self.notebook.metadata["topics"])

    @property
    def code(self) -> list[Any]:
        """The code cells."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def prose(self) -> str:
        """The Markdown cells, and the descriptions of the pictures."""
        cells = self.notebook.cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        return "\n\n".join(texts + [description(cell) for cell in self.code])

    @property
    def recorded(self) -> str:
        """What the cells should print; empty if that has never been recorded."""
        path = OUTPUTS / f"{self.name}.txt"
        return path.read_text("utf-8") if path.exists() else ""

    def run(self, names: dict[str, Any] | None = None) -> str:
        """Run the cells in this process, and return what they print.

        Frameworks that are to be imported in a certain order must be imported already.

        Args:
            names: An empty dict, which then has what the cells define.
        """
        names = {} if names is None else names
        names["__name__"] = "__main__"
        exec(compile(SETUP.read_text("utf-8"), str(SETUP), "exec"), names)
        parts = []
        for number, cell in enumerate(self.code, 1):
            text = _run(cell.source, f"<{self.name}.md cell {number}>", names)
            if text := "(varies)" if varies(cell) else text.rstrip():
                parts.append(f"[{number}]\n{text}\n")
        return "".join(parts)


def lessons() -> list[Lesson]:
    """Return the lessons in the order of the course, which the table of contents states."""
    text = (FOLDER / "index.md").read_text("utf-8")
    listed = re.search(r"```\{toctree\}\n(?::.*\n)*\n(.*?)```", text, re.DOTALL)
    assert listed, "index.md has no toctree"
    return [Lesson(name) for name in listed[1].split()]


def varies(cell: Any) -> bool:
    """Tell whether what a cell prints depends on the machine."""
    return "varies" in cell.metadata.get("tags", ())


def description(cell: Any) -> str:
    """Return the text that stands for the picture of a cell, if it has one."""
    text: str = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    return text


def _run(source: str, where: str, names: dict[str, Any]) -> str:
    """Run a cell as a notebook does: the value of a last expression is printed."""
    lines = source.splitlines(keepends=True)
    linecache.cache[where] = (len(source), None, lines, where)  # for compilers that read functions
    tree = ast.parse(source, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    out = io.StringIO()
    with contextlib.redirect_stdout(out), mock.patch.dict(os.environ, ENVIRONMENT):
        exec(compile(tree, where, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
            if value is not None:
                print(repr(value))
    return out.getvalue()


# What is printed.

NUMBER = re.compile(r"(?<![\w.-])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")
ROUNDING = 1e-15


def differences(found: str, expected: str) -> list[str]:
    """Compare what cells print with what was recorded.

    Words and whole numbers must be the same. A decimal may differ by one in its last digit. A
    number with an exponent, which is how lessons print rounding errors, may differ by a factor of
    ten; below 1e-15, all are the same.

    Returns:
        One line for each line that differs.
    """
    lines, others = found.splitlines(), expected.splitlines()
    wrong = [
        f"{line!r} instead of {other!r}"
        for line, other in zip(lines, others, strict=False)
        if not _same(line, other)
    ]
    wrong += [f"unexpected {line!r}" for line in lines[len(others) :]]
    return wrong + [f"missing {line!r}" for line in others[len(lines) :]]


def _same(line: str, other: str) -> bool:
    words, others = ([part.split() for part in NUMBER.split(text)] for text in (line, other))
    numbers = zip(NUMBER.findall(line), NUMBER.findall(other), strict=False)
    return words == others and all(_close(*pair) for pair in numbers)


def _close(text: str, other: str) -> bool:
    a, b = value(text), value(other)
    if "e" in other:
        small, large = sorted((max(abs(a), ROUNDING), max(abs(b), ROUNDING)))
        return large <= 10 * small
    if "." not in other:
        return text == other
    return abs(a - b) <= 1.01 * 10.0 ** -len(other.partition(".")[2])


def value(text: str) -> float:
    """Return the value of a number as it is printed."""
    return float(text.replace(",", "").replace("−", "-"))


# What is said.

#: Parts of the prose whose numbers state no result: code, targets of links and formulas; papers,
#: years and sizes of kernels; numbers of sections and versions.
APART = re.compile(
    r"```.*?```|`[^`]*`|\]\([^)]*\)|<!--.*?-->|<[^>]*>|\$[^$]*\$"
    r"|arXiv:\S+|\b(?:19|20)\d\d\b|\b[1-9]\d?x[1-9]\d?\b(?!x)"
    r"|\b(?:sections?|tables?|figures?|algorithms?|versions?|Keras|TensorFlow|Inception) \d[\d.]*",
    re.DOTALL | re.IGNORECASE,
)


def unsupported(lesson: Lesson) -> list[str]:
    """Return the numbers in the prose of a lesson that none of its cells prints.

    Numbers in code, links and formulas do not count; nor do years, the numbers of sections, tables
    and versions, and sizes of kernels such as 3x3. The field ``given`` of the page lists others.
    """
    given = [str(number) for number in lesson.notebook.metadata.get("given", ())]
    printed = [value(text) for text in (*NUMBER.findall(lesson.recorded), *given)]
    prose = APART.sub(" ", re.sub(r"(?m)^:{3,}.*$", " ", lesson.prose))
    return [text for text in NUMBER.findall(prose) if not any(_rounds(n, text) for n in printed)]


def _rounds(number: float, text: str) -> bool:
    """Tell whether a number in prose is this one, rounded to its digits, or its absolute value."""
    digits, _, exponent = text.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    half = 0.5000001 * unit if "." in digits or exponent else 0.0
    return abs(abs(number) - abs(value(text))) <= half
