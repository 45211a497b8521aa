"""Pages with a network's spec and its four sources side by side, as zoo.sources writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import zoo
from pages.staging import ROOT, put

#: The models that have such a page; ``zoo source MODEL --html`` writes it for any.
MODELS = ("lenet5", "googlenet", "vgg16", "resnet18", "resnet50", "squeezenet1_0")
#: Where Sphinx finds them, to copy as they are.
EXTRA = "extra"


def write(graphs: Mapping[str, zoo.Graph], target: Path) -> None:
    """Write the pages to the folder of what is copied as it is."""
    lessons = {topic: f"../lessons/{name}.html" for topic, name in topics().items()}
    for name in graphs.keys() & set(MODELS):
        page = zoo.sources(graphs[name], lessons=lessons).html
        put(target / EXTRA / "side-by-side" / f"{name}.html", page)


def topics() -> dict[str, str]:
    """Return the topic of a difference -> the lesson about it."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "docs" / "lessons").glob("*.md")):
        head = re.match(r"---\n(.*?)^---$", path.read_text(), re.DOTALL | re.MULTILINE)
        stated = re.search(r"^topics: \[(.*)\]$", head[1] if head else "", re.MULTILINE)
        for topic in stated[1].split(", ") if stated else ():
            found.setdefault(topic, path.stem)
    return found


def link(name: str, folder: str) -> str:
    """Return a link to the page of a model, from a page in a folder."""
    return _paragraph(_anchor(name, "The spec and the four sources side by side", folder))


def links() -> str:
    """Return links to all of the pages, from a page that is in no folder."""
    found = [_anchor(name, f"<code>{name}</code>") for name in MODELS]
    return _paragraph(f"Such pages: {', '.join(found)}.")


def _anchor(name: str, text: str, folder: str = "") -> str:
    return f'<a href="{folder}side-by-side/{name}.html">{text}</a>'


def _paragraph(html: str) -> str:
    """Return a paragraph that has links in HTML, because Sphinx knows only pages that it makes."""
    return f"```{{raw}} html\n<p>{html}</p>\n```"
