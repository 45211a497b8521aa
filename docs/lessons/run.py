"""Runs the lessons and writes them as notebooks: python docs/lessons/run.py [NAME ...] [--record].

For each lesson it writes ``build/lessons/NAME.ipynb``, which has been run, for the site, and
``build/lessons/download/NAME.ipynb``, which has not, for readers. The latter begins with a cell that
installs what it needs, as in Colab. All lessons run in one process, one after another, so that the
frameworks are imported once.

With ``--record``, it writes what the cells print to ``outputs/NAME.txt`` instead.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import KernelManager
from lesson import FOLDER, OUTPUTS, SETUP, Lesson, differences, lessons, varies
from nbclient import NotebookClient

BUILD = FOLDER.parent.parent / "build" / "lessons"
INSTALL = "%pip install -q 'polyzoo[all]'"
SVG = '%config InlineBackend.figure_formats = ["svg"]'


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Run the lessons and write them as notebooks.")
    parser.add_argument("names", nargs="*", help="lessons; all by default")
    parser.add_argument("--record", action="store_true", help="write what the cells print")
    parser.add_argument("--output", type=Path, default=BUILD, help="the folder of the notebooks")
    parser.add_argument("--downloads", action="store_true", help="also run those for readers")
    given = parser.parse_args()
    chosen = [Lesson(name) for name in given.names] or lessons()
    if given.record:
        record(chosen)
    elif wrong := write(chosen, given.output, given.downloads):
        sys.exit("\n".join(wrong))


def record(chosen: Iterable[Lesson]) -> None:
    """Write what the cells of lessons print."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for lesson in chosen:
            (OUTPUTS / f"{lesson.name}.txt").write_text(lesson.run(), "utf-8")
            print(f"outputs/{lesson.name}.txt")


def write(chosen: Iterable[Lesson], folder: Path, downloads: bool = False) -> list[str]:
    """Write lessons as notebooks, run and not run, and the table of contents.

    Args:
        chosen: The lessons.
        folder: Where to; it gets a folder ``download`` for notebooks that have not been run.
        downloads: Whether to run these, too, without their first cell.

    Returns:
        A line for each line that a lesson prints, and that was not recorded so.
    """
    wrong = []
    (folder / "download").mkdir(parents=True, exist_ok=True)
    contents = (FOLDER / "index.md").read_text("utf-8").replace(".md)", ".ipynb)")
    (folder / "index.md").write_text(contents, "utf-8")
    with tempfile.TemporaryDirectory() as scratch, Kernel(scratch) as kernel:
        for lesson in chosen:
            nbformat.write(downloadable(lesson), folder / "download" / f"{lesson.name}.ipynb")
            done = [kernel.run(for_site(lesson))]
            nbformat.write(done[0], folder / f"{lesson.name}.ipynb")
            if downloads:
                notebook = downloadable(lesson)
                notebook.cells = [cell for cell in notebook.cells if cell.source != INSTALL]
                done.append(kernel.run(notebook))
            for notebook in done:
                lines = differences(_printed(notebook, lesson), lesson.recorded)
                wrong += [f"{lesson.name}: {line}" for line in lines]
            print(folder / f"{lesson.name}.ipynb")
    return wrong


def for_site(lesson: Lesson) -> Any:
    """Return a lesson as a notebook whose cell of preparations the site does not show."""
    notebook = _notebook(lesson)
    first = nbformat.v4.new_code_cell(f"{SETUP.read_text('utf-8')}\n{SVG}")
    first.metadata["tags"] = ["remove-cell"]
    notebook.cells.insert(0, first)
    link = f"{{download}}`Download this lesson as a notebook <download/{lesson.name}.ipynb>`"
    notebook.cells[1].source += f"\n\n{link}"
    return notebook


def downloadable(lesson: Lesson) -> Any:
    """Return a lesson as a notebook that runs elsewhere, such as in Colab, and hides solutions."""
    notebook = _notebook(lesson)
    for cell in notebook.cells:
        tags = cell.metadata.pop("tags", ())
        cell.metadata.pop("mystnb", None)
        if {"hide-cell", "hide-input"} & set(tags):
            title = "Solution" if "hide-cell" in tags else "Picture"
            cell.source = f"# @title {title}\n{cell.source}"
            cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    first = [INSTALL, f"# @title Preparations\n{SETUP.read_text('utf-8')}"]
    cells = [nbformat.v4.new_code_cell(text) for text in first]
    cells[1].metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    notebook.cells[1:1] = cells
    return notebook


def _notebook(lesson: Lesson) -> Any:
    notebook = copy.deepcopy(lesson.notebook)
    keep = {"kernelspec", "topics"}
    for key in set(notebook.metadata) - keep:
        del notebook.metadata[key]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _printed(notebook: Any, lesson: Lesson) -> str:
    """Return what the cells of a notebook printed, in the form in which it is recorded."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parts = []
    for number, cell in enumerate(code[-len(lesson.code) :], 1):
        texts = [out.get("text", "") for out in cell.outputs]
        texts += [o.data["text/plain"] for o in cell.outputs if o.output_type == "execute_result"]
        if text := "(varies)" if varies(lesson.code[number - 1]) else "".join(texts):
            parts.append(f"[{number}]\n{text.rstrip()}\n")
    return "".join(parts)


class Kernel:
    """A process that runs one notebook after another, each with fresh names."""

    def __init__(self, folder: str) -> None:
        """Prepare for notebooks that write their files to a folder."""
        self._folder = folder
        self._manager: Any = None

    def __enter__(self) -> Kernel:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=self._folder)
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.shutdown_kernel(now=True)

    def run(self, notebook: Any) -> Any:
        """Run a notebook, and return it with its outputs.

        Raises:
            CellExecutionError: A cell raised an exception.
        """
        forget = nbformat.v4.new_code_cell("%reset -f")
        notebook.cells.insert(0, forget)
        client = NotebookClient(notebook, km=self._manager, timeout=600)
        client.execute()
        del notebook.cells[0]
        for cell in notebook.cells:
            if cell.cell_type == "code":  # the frameworks' own messages while they start
                cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
        return notebook
