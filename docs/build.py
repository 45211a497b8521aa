"""Builds the site of the documentation: python docs/build.py [--output FOLDER] [--reports FOLDER].

Pages are the Markdown files of the repository and what docs/pages generates. The result is a folder
of static files, by default build/site, which needs no server and loads nothing from elsewhere.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pages import cards, commands, lessons, operations, parts, reference, sides, staging
from sphinx.cmd.build import build_main

import zoo
from zoo.language import index

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Write the pages, run Sphinx, and return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--reports", type=Path, help="a folder of zoo verify --all --output")
    parser.add_argument(
        "--families", nargs="*", metavar="NAME", help="write no other models' cards"
    )
    parser.add_argument("--no-run", action="store_true", help="show lessons without their outputs")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not _is_site(output)):
        parser.error(f"{output} is not a site that this program built; choose another folder")
    # Pages are large trees, and looking through them takes a sixth of a build.
    gc.set_threshold(100_000)
    notebooks = None if arguments.no_run else lessons.executed()
    pages = output.with_name(f"{output.name}-pages")
    write(pages, arguments.families, arguments.reports, notebooks)
    shutil.rmtree(output, ignore_errors=True)
    doctrees = output.with_name(f"{output.name}-doctrees")
    options = ["-b", "html", "-j", "auto", "-W", "--keep-going", "-q", "-d", str(doctrees)]
    options += ["-D", f"html_extra_path={pages / sides.EXTRA}"]
    status = build_main([*options, "-c", str(ROOT / "docs"), str(pages), str(output)])
    if status == 0:
        print(f"The site is built. Its first page is {output / 'index.html'}.")
    return int(status)


def _is_site(folder: Path) -> bool:
    """Tell whether a folder holds a site, which may be replaced."""
    return (folder / ".buildinfo").is_file()


def write(
    target: Path, families: Sequence[str] | None, reports: Path | None, notebooks: Path | None
) -> None:
    """Write every page, written and generated, to a folder."""
    graphs = {
        name: zoo.graph(name)
        for name, entry in index.entries().items()
        if families is None or entry["family"] in families
    }
    files = staging.written()
    if notebooks:
        files |= lessons.pages(notebooks)
        lessons.put(notebooks, files, target)
    for file, page in files.items():
        if page.endswith(".md"):
            text = staging.relinked((ROOT / file).read_text(), file, files, target)
            staging.put(target / page, parts.completed(text, graphs))
    cards.write(graphs, target, reports)
    sides.write(graphs, target)
    staging.put(target / "operations.md", operations.page())
    staging.put(target / "commands.md", commands.page())
    for file, text in reference.pages().items():
        staging.put(target / file, text)
    staging.remove_others(target)


if __name__ == "__main__":
    sys.exit(main())
