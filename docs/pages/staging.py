"""Copies the written pages to where Sphinx reads them.

The pages are files of the repository, whose links work there, too. In the site they lie elsewhere,
so their links are rewritten. A link to a file that is not a page becomes a download.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: File of the repository -> its page, for those with another name than in docs.
ELSEWHERE = {
    "docs/README.md": "documentation.md",
    "spec/README.md": "language.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "handwritten.md",
}
#: Folder of the repository -> the page that is about it.
FOLDERS = {
    "benchmarks": "handwritten.md",
    "docs": "index.md",
    "docs/lessons": "lessons/index.md",
    "examples/numpy_backend": "own-backend.md",
    "spec": "models.md",
    "spec/sources": "weights.md",
    "zoo/ops": "operations.md",
}
#: Where downloads lie among the pages.
FILES = "files"

#: Code, and directives that contain no links; those that do are fenced with colons.
_CODE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\]\()([^)\s]+)(\))")


def written() -> dict[str, str]:
    """Return file of the repository -> page, for every written page."""
    docs = {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
    }
    return {**docs, **ELSEWHERE}


class LinkError(Exception):
    """A link of a written page leads nowhere."""


def relinked(text: str, file: str, pages: Mapping[str, str], target: Path) -> str:
    """Return the text of a page with links that work in the site.

    Args:
        text: The text of the file.
        file: Its path in the repository, to which its links are relative.
        pages: File of the repository -> page.
        target: The folder of the pages, to which files that are linked are copied.

    Raises:
        LinkError: A link leads to a file that does not exist.

    Example:
        >>> pages = {"docs/data.md": "data.md", "spec/README.md": "language.md"}
        >>> relinked("[fields](../spec/README.md#layers)", "docs/data.md", pages, Path())
        '[fields](language.md#layers)'
    """
    here = posixpath.dirname(pages[file])

    def link(match: re.Match[str]) -> str:
        before, address, after = match.groups()
        if re.match(r"[a-z]+:|#|<", address):
            return match[0]
        path, hash, fragment = address.partition("#")
        named = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        page = pages.get(named) or FOLDERS.get(named.rstrip("/"))
        if page is None:
            source = ROOT / named
            if not source.is_file():
                raise LinkError(f"{file}: there is no page or file {address}")
            page = f"{FILES}/{named}"
            put(target / page, source.read_bytes())
        return f"{before}{posixpath.relpath(page, here or '.')}{hash}{fragment}{after}"

    def outside_of_code(part: str) -> str:
        if "[![" in part:  # an image that is a link
            part = re.sub(r"\[(!\[[^\]]*\]\([^)]*\))\]\([^)]*\)", r"\1", part)
        return _LINK.sub(link, part)

    pieces, start = [], 0
    for block in _CODE.finditer(text):
        pieces += [outside_of_code(text[start : block.start()]), block[0]]
        start = block.end()
    return "".join([*pieces, outside_of_code(text[start:])])


def put(path: Path, content: str | bytes) -> None:
    """Write a file unless it has that content, so that Sphinx reads only pages that changed."""
    data = content.encode() if isinstance(content, str) else content
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    _kept.add(os.path.realpath(path))


_kept: set[str] = set()


def remove_others(folder: Path) -> None:
    """Remove the files that an earlier build wrote, and this one did not."""
    for path in folder.rglob("*"):
        if path.is_file() and os.path.realpath(path) not in _kept:
            path.unlink()
