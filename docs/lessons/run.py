"""Runs the lessons and writes them as notebooks: python docs/lessons/run.py [NAME ...] [--record].

For each lesson it writes ``build/lessons/NAME.ipynb``, which has been run, for the site, and
``build/lessons/download/NAME.ipynb``, which has not, for readers. The latter begins with a cell
that installs what it needs, as in Colab. All lessons run in one process, one after another, so that
the frameworks are imported once. It fails if a lesson prints what it did not print before.

With ``--record``, it writes what the cells print to ``outputs/NAME.txt`` instead.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import KernelManager
from lesson import ENVIRONMENT, FOLDER, OUTPUTS, Lesson, differences, lessons
from nbclient import NotebookClient
from notebooks import INSTALL, downloadable, for_site, printed, with_tabs

BUILD = FOLDER.parent.parent / "build" / "lessons"


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
    import matplotlib

    matplotlib.use("Agg")
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
    (folder / "download").mkdir(parents=True, exist_ok=True)
    contents = (FOLDER / "index.md").read_text("utf-8").replace(".md)", ".ipynb)")
    (folder / "index.md").write_text(contents, "utf-8")
    wrong = []
    with tempfile.TemporaryDirectory() as scratch, Kernel(scratch) as kernel:
        for lesson in chosen:
            nbformat.write(downloadable(lesson), folder / "download" / f"{lesson.name}.ipynb")
            done = [kernel.run(for_site(lesson))]
            nbformat.write(with_tabs(done[0]), folder / f"{lesson.name}.ipynb")
            if downloads:
                notebook = downloadable(lesson)
                notebook.cells = [cell for cell in notebook.cells if cell.source != INSTALL]
                done.append(kernel.run(notebook))
            for notebook in done:
                lines = differences(printed(notebook, lesson), lesson.recorded)
                wrong += [f"{lesson.name}: {line}" for line in lines]
            print(folder / f"{lesson.name}.ipynb")
    return wrong


class Kernel:
    """A process that runs one notebook after another, each with fresh names."""

    def __init__(self, folder: str) -> None:
        """Prepare for notebooks that write their files to a folder."""
        self._folder = folder
        self._manager: Any = KernelManager(kernel_name="python3")

    def __enter__(self) -> Kernel:
        # Frameworks with threads of their own would wait for each other.
        environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1"}
        self._manager.start_kernel(cwd=self._folder, env=environment)
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.shutdown_kernel(now=True)

    def run(self, notebook: Any) -> Any:
        """Run a notebook, and return it with its outputs.

        Raises:
            CellExecutionError: A cell raised an exception.
        """
        notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
        NotebookClient(notebook, km=self._manager, timeout=600, coalesce_streams=True).execute()
        del notebook.cells[0]
        for cell in notebook.cells:
            if cell.cell_type == "code":  # without the frameworks' own messages
                cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
        return notebook


if __name__ == "__main__":
    main()
