"""The drawings of two networks on one page, with what differs marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from zoo.graphs.graph import Graph
from zoo.verification.rendering.page import environment, script
from zoo.views import html
from zoo.views.difference import table
from zoo.views.difference.changes import Change
from zoo.views.difference.data import DifferenceData
from zoo.views.drawing.block_labels import Captions
from zoo.views.drawing.draw import Drawing
from zoo.views.printable import printable

_SCRIPT = Path(__file__).parent / "templates" / "both.js"
_SVG = "http://www.w3.org/2000/svg"
_MOST_WORDS = 3  # changes that a tooltip lists


def page(data: DifferenceData, old: Graph, new: Graph, depth: int | None = 1) -> str:
    """Make the page of a difference.

    Args:
        data: The difference.
        old, new: The two networks.
        depth: How many levels of blocks to show; None shows all.

    Returns:
        HTML that needs no other file.

    Raises:
        BackendError: Jinja is not installed.
    """
    changes = {change.name: change for change in data.changes}
    captions = Captions(old.root, new.root)
    sides = [
        {"name": graph.name, "drawing": marked(graph, changes, depth, captions)}
        for graph in (old, new)
    ]
    templates = environment("zoo.views.difference", "zoo.verification.rendering")
    return str(
        templates.get_template("difference.html.jinja").render(
            sides=sides,
            table=html.render(table.table(data)),
            kinds=set(re.findall(r'class="box \S+ (\w+)"', " ".join(s["drawing"] for s in sides))),
            **script(_SCRIPT),
        )
    )


def marked(
    graph: Graph, changes: Mapping[str, Change], depth: int | None, captions: Captions
) -> str:
    """Draw a network with a class for each box that differs.

    Args:
        graph: The network.
        changes: Path name -> how the node differs.
        depth: How many levels of blocks to show.
        captions: Those of both networks.

    Returns:
        An SVG element. Boxes are of the classes ``added``, ``removed``, ``changed`` or
        ``follows``, and their tooltips say what differs.
    """
    ET.register_namespace("", _SVG)
    root = ET.fromstring(Drawing.of(graph, depth, columns=1, captions=captions).svg)
    names = [node.name for node in graph.nodes]
    for group in root.iter(f"{{{_SVG}}}g"):
        name = group.get("data-name")
        if name is None or "frame" in group.get("class", ""):
            continue
        found = [change for node, change in changes.items() if covers(name, node)]
        if not found:
            continue
        kinds = {change.kind for change in found}
        alike = len(kinds) == 1 and all(node in changes for node in names if covers(name, node))
        kind = kinds.pop() if alike or kinds == {"follows"} else "changed"
        group.set("class", f"{group.get('class')} {kind}")
        tooltip = group.find(f"{{{_SVG}}}title")
        if tooltip is not None:
            tooltip.text = printable(f"{tooltip.text}: {'; '.join(_words(found, name))}")
    return ET.tostring(root, encoding="unicode")


def covers(box: str, node: str) -> bool:
    """Tell whether a node is in a box, which may stand for several blocks.

    Example:
        >>> covers("layer1.block1-3", "layer1.block2.conv1.conv")
        True
        >>> covers("layer1.block1", "layer1.block10.conv1.conv")
        False
    """
    if node == box or node.startswith(f"{box}."):
        return True
    run = re.fullmatch(r"(.*?)(\d+)-(\d+)", box)
    if not run:
        return False
    number = re.match(rf"{re.escape(run[1])}(\d+)(?:\.|$)", node)
    return bool(number and int(run[2]) <= int(number[1]) <= int(run[3]))


def _words(found: list[Change], box: str) -> Iterator[str]:
    own = [change for change in found if change.kind != "follows"] or found
    for change in own[:_MOST_WORDS]:
        inner = change.name.removeprefix(box).removeprefix(".")
        yield f"{inner}: {change.words}" if inner else change.words
    if len(own) > _MOST_WORDS:
        yield f"and {len(own) - _MOST_WORDS} more"
