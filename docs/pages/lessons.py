"""The lessons, which docs/lessons/run.py executes."""

from __future__ import annotations

import subprocess
import sys
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


def put(notebooks: Path, target: Path) -> None:
    """Put the executed lessons in the place of those that are only written.

    Args:
        notebooks: The folder of the executed lessons, with a folder of those for readers.
        target: The folder of the pages.
    """
    for path in [*notebooks.glob("*.ipynb"), *notebooks.glob("download/*.ipynb")]:
        staging.put(target / "lessons" / path.relative_to(notebooks), path.read_bytes())
        if path.parent == notebooks:
            staging.drop(target / "lessons" / f"{path.stem}.md")
