"""The lessons, which docs/lessons/run.py executes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pages import staging
from pages.staging import ROOT

FOLDER = ROOT / "docs" / "lessons"
NOTEBOOKS = ROOT / "build" / "lessons"


def executed() -> Path | None:
    """Return the folder of the executed lessons, after executing them if any has changed.

    Raises:
        subprocess.CalledProcessError: A lesson failed.
    """
    program = FOLDER / "run.py"
    if not program.is_file():
        return None
    sources = [path for path in FOLDER.iterdir() if path.suffix in (".md", ".py")]
    made = {path.stem: path.stat().st_mtime for path in NOTEBOOKS.glob("*.ipynb")}
    newest = max(path.stat().st_mtime for path in sources)
    names = {path.stem for path in sources if path.suffix == ".md" and path.stem != "index"}
    if names - made.keys() or min(made.values(), default=0) < newest:
        subprocess.run([sys.executable, str(program), "--output", str(NOTEBOOKS)], check=True)
    return NOTEBOOKS


def pages(notebooks: Path) -> dict[str, str]:
    """Return the file of a lesson -> its page, which is a notebook."""
    return {
        f"docs/lessons/{path.stem}.md": f"lessons/{path.name}" for path in notebooks.glob("*.ipynb")
    }


def put(notebooks: Path, files: Mapping[str, str], target: Path) -> None:
    """Put the executed lessons among the pages, and those for readers beside them.

    Args:
        notebooks: The folder of the executed lessons, with a folder of those for readers.
        files: File of the repository -> page, for the links in lessons.
        target: The folder of the pages.
    """
    for file, page in pages(notebooks).items():
        notebook = json.loads((notebooks / Path(page).name).read_text())
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"])
                cell["source"] = staging.relinked(text, file, files, target)
        staging.put(target / page, json.dumps(notebook))
    for path in notebooks.glob("download/*.ipynb"):
        staging.put(target / "lessons" / "download" / path.name, path.read_bytes())
