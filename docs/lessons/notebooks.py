"""Turns a lesson into notebooks: one for the site, with tabs, and one for readers to download."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

import nbformat
from lesson import SETUP, Lesson, varies

INSTALL = "%pip install -q 'polyzoo[all]'"
SVG = '%config InlineBackend.figure_formats = ["svg"]'
PROMPTS = {"hide-input": "Show the code of the picture", "hide-cell": "Show a solution"}

BACKENDS = {"PyTorch": "torch", "PaddlePaddle": "paddle"}
FRAMEWORK = re.compile(r"### ([A-Z].*)\n*")


def for_site(lesson: Lesson) -> Any:
    """Return a lesson as a notebook whose preparations the site does not show."""
    notebook = _notebook(lesson)
    first = nbformat.v4.new_code_cell(f"{SETUP.read_text('utf-8')}\n{SVG}")
    first.metadata["tags"] = ["remove-cell"]
    notebook.cells.insert(0, first)
    link = f"{{download}}`Download this lesson as a notebook <download/{lesson.name}.ipynb>`"
    notebook.cells[1].source += f"\n\n{link}"
    for cell in notebook.cells:
        for tag in set(cell.metadata.get("tags", ())) & set(PROMPTS):
            cell.metadata.setdefault("mystnb", {})["code_prompt_show"] = PROMPTS[tag]
    return notebook


def downloadable(lesson: Lesson) -> Any:
    """Return a lesson as a notebook that runs elsewhere, such as in Colab, and hides solutions."""
    notebook = _notebook(lesson)
    for cell in notebook.cells:
        tags = cell.metadata.pop("tags", ())
        cell.metadata.pop("mystnb", None)
        if "hide-cell" in tags:
            _hide(cell, "Solution")
        elif "hide-input" in tags:
            _hide(cell, "Picture")
    install, prepare = (nbformat.v4.new_code_cell(t) for t in (INSTALL, SETUP.read_text("utf-8")))
    _hide(prepare, "Preparations")
    notebook.cells[1:1] = [install, prepare]
    return notebook


def printed(notebook: Any, lesson: Lesson) -> str:
    """Return what the cells of a notebook have printed, in the form in which it is recorded.

    Args:
        notebook: One that has been run, made by a function of this module.
        lesson: Its lesson.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parts = []
    for number, (cell, source) in enumerate(
        zip(code[-len(lesson.code) :], lesson.code, strict=True), 1
    ):
        texts = [out.get("text", "") for out in cell.outputs]
        texts += [o.data["text/plain"] for o in cell.outputs if o.output_type == "execute_result"]
        if text := "(varies)" if varies(source) else "".join(texts).rstrip():
            parts.append(f"[{number}]\n{text}\n")
    return "".join(parts)


def with_tabs(notebook: Any) -> Any:
    """Return a notebook that has been run, with what it has for each framework in tabs.

    Each section with the name of a framework, which is some text and one cell of code, becomes a
    tab of sphinx-design. Choosing a framework in one place chooses it everywhere.
    """
    cells: list[Any] = []
    tabs: list[str] = []
    rest = _split_at_frameworks(notebook.cells)
    while rest:
        cell = rest.pop(0)
        if found := FRAMEWORK.match(cell.source):
            tabs.append(_tab(found[1], cell.source[found.end() :].strip(), rest.pop(0)))
            continue
        if tabs:
            lines = ("`````{tab-set}\n:sync-group: framework", *tabs, "`````")
            cells.append(nbformat.v4.new_markdown_cell("\n\n".join(lines)))
            tabs = []
        cells.append(cell)
    result = copy.copy(notebook)
    result.cells = cells
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return result


def _tab(title: str, text: str, code: Any) -> str:
    name = title.split()[0]
    lines = [f"````{{tab-item}} {title}\n:sync: {BACKENDS.get(name, name.lower())}", text]
    lines.append(f"```python\n{code.source}\n```")
    if output := "".join(out.get("text", "") for out in code.outputs).rstrip():
        lines.append(f"```text\n{output}\n```")
    return "\n\n".join(filter(None, (*lines, "````")))


def _split_at_frameworks(cells: Iterable[Any]) -> list[Any]:
    """Let the section of each framework begin with a cell of its own."""
    parts = []
    for cell in cells:
        texts = [cell.source]
        if cell.cell_type == "markdown":
            texts = [text for text in re.split(r"(?m)^(?=### )", cell.source) if text.strip()]
        for text in texts:
            parts.append(copy.deepcopy(cell))
            parts[-1].source = text
    return parts


def _hide(cell: Any, title: str) -> None:
    """Show a title in place of the code of a cell, in Colab and in Jupyter."""
    cell.source = f"# @title {title}\n{cell.source}"
    cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}


def _notebook(lesson: Lesson) -> Any:
    notebook = copy.deepcopy(lesson.notebook)
    for key in set(notebook.metadata) - {"kernelspec", "topics"}:
        del notebook.metadata[key]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook
