"""Runs the lessons and writes them as notebooks: python docs/lessons/run.py [NAME ...] [--record].

For each lesson it writes ``build/lessons/NAME.ipynb``, which has been run, for the site, and
``build/lessons/download/NAME.ipynb``, which has not, for readers. The latter begins with a cell that
installs what it needs, as in Colab. All lessons run in one process, one after another, so that the
frameworks are imported once.

With ``--record``, it writes what the cells print to ``outputs/NAME.txt`` instead.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.util import run_sync

from lesson import FOLDER, OUTPUTS, SETUP, Lesson, lessons, varies

BUILD = FOLDER.parent.parent / "build" / "lessons"
INSTALL = "%pip install -q 'polyzoo[all]'"
SVG = '%config InlineBackend.figure_formats = ["svg"]'


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Run the lessons and write them as notebooks.")
    parser.add_argument("names", nargs="*", help="lessons; all by default")
    parser.add_argument("--record", action="store_true", help="write what the cells print")
    parser.add_argument("--output", type=Path, default=BUILD, help="the folder of the notebooks")
    given = parser.parse_args()
    chosen = [Lesson(name) for name in given.names] or lessons()
    if given.record:
        record(chosen)
    else:
        write(chosen, given.output)


def record(chosen: Iterable[Lesson]) -> None:
    """Write what the cells of lessons print."""
    with tempfile.TemporaryDirectory() as scratch, _folder(scratch):
        for lesson in chosen:
            (OUTPUTS / f"{lesson.name}.txt").write_text(lesson.run(), "utf-8")
            print(f"outputs/{lesson.name}.txt")


def write(chosen: Iterable[Lesson], folder: Path) -> None:
    """Write lessons as notebooks, run and not run, and the table of contents.

    Args:
        chosen: The lessons.
        folder: Where to; it gets a folder ``download`` for notebooks that have not been run.
    """
    (folder / "download").mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / "index.md", folder / "index.md")
    with tempfile.TemporaryDirectory() as scratch, Kernel(scratch) as kernel:
        for lesson in chosen:
            nbformat.write(downloadable(lesson), folder / "download" / f"{lesson.name}.ipynb")
            nbformat.write(kernel.run(for_site(lesson)), folder / f"{lesson.name}.ipynb")
            print(folder / f"{lesson.name}.ipynb")


def for_site(lesson: Lesson) -> Any:
    """Return a lesson as a notebook whose cell of preparations the site does not show."""
    notebook = _notebook(lesson)
    first = nbformat.v4.new_code_cell(f"{SETUP.read_text('utf-8')}\n{SVG}")
    first.metadata["tags"] = ["remove-cell"]
    notebook.cells.insert(0, first)
    link = f"[Download this page as a notebook](download/{lesson.name}.ipynb)"
    notebook.cells[1].source += f"\n\n{{download}}`Download this lesson as a notebook <download/{lesson.name}.ipynb>`"
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


class Kernel:
    """A process that runs one notebook after another, each with fresh names."""

    def __init__(self, folder: str) -> None:
        """Prepare for notebooks that write their files to a folder."""
        self._folder = folder
        self._manager: Any = None

    def __enter__(self) -> Kernel:
        from jupyter_client import KernelManager

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
