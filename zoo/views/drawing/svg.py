"""Writes a drawing as SVG with selectable text, without scripts or external resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from zoo.views.drawing import style
from zoo.views.drawing.labels import FAMILIES
from zoo.views.drawing.layout import TEXT, Line, Place, shortened, text_width
from zoo.views.drawing.scene import Box, Frame
from zoo.views.printable import printable

_MARGIN, _CORNER, _HEAD = 20, 5, 5
_ROW = 20  # height of a row of the legend
_NARROWEST = 420  # least width of a picture, for its heading and legend


def write(place: Place, heading: str, facts: str, about: str) -> str:
    """Write a picture.

    Args:
        place: The laid-out picture.
        heading: The line at its top.
        facts: The line below.
        about: A description for screen readers.

    Returns:
        An SVG document.
    """
    left, top, right, bottom = _extent(place)
    room = max(right - left, _NARROWEST, text_width(heading, 18, bold=True))
    keys, legend_height = _legend(place, room)
    head = 58 + legend_height
    width, height = room + 2 * _MARGIN, bottom - top + head + 2 * _MARGIN
    size = {"width": _number(width), "height": _number(height)}
    whole = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {size['width']} {size['height']}",
        **size,
        "class": "zoo-drawing",
        **style.root(),
        "role": "img",
        "aria-label": printable(heading),
    }
    root = ET.Element("svg", whole)
    ET.SubElement(root, "title").text = printable(heading)
    ET.SubElement(root, "desc").text = printable(about)
    ET.SubElement(root, "style").text = style.sheet()
    ET.SubElement(root, "rect", {"class": "paper", **size, **style.paper()})
    _text(root, "heading", _MARGIN, _MARGIN + 16, heading)
    _text(root, "note", _MARGIN, _MARGIN + 36, facts)
    legend = ET.SubElement(root, "g", {"class": "legend", "transform": _translation(_MARGIN, 70)})
    legend.extend(keys)
    origin = (_MARGIN - left + (room - (right - left)) / 2, _MARGIN + head - top)
    network = ET.SubElement(root, "g", {"class": "network", "transform": _translation(*origin)})
    _draw(network, place, 0, 0)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _extent(place: Place) -> tuple[float, float, float, float]:
    xs = [x for p in place.children for x in (p.x - p.left, p.x + p.right)]
    ys = [y for p in place.children for y in (p.y, p.bottom)]
    for line in place.lines:
        xs += [x for x, _ in line.points]
        ys += [y for _, y in line.points]
    return min(xs), min(ys), max(xs), max(ys)


def _draw(parent: ET.Element, place: Place, x: float, y: float) -> None:
    """Draw the contents of a frame: inner frames first, then lines, then boxes on top."""
    for inner in place.children:
        if isinstance(inner.item, Frame):
            _frame(parent, inner, inner.item, x, y)
    frames = {inner.item.name for inner in place.children if isinstance(inner.item, Frame)}
    for line in place.lines:
        target = f"{line.target}.input" if line.target in frames else line.target
        _line(parent, line, target, x, y)
    for inner in place.children:
        if isinstance(inner.item, Box):
            _box(parent, inner, inner.item, x + inner.x, y + inner.y)


def _frame(parent: ET.Element, place: Place, frame: Frame, x: float, y: float) -> None:
    x, y = x + place.x, y + place.y
    group = ET.SubElement(parent, "g", {"class": "frame", "data-name": frame.name})
    ET.SubElement(group, "title").text = printable(frame.tooltip)
    _rectangle(group, place, x, y, 8, style.frame())
    _text(group, "title", x - place.left + 8, y + 15, frame.title)
    _draw(group, place, x, y)


def _box(parent: ET.Element, place: Place, box: Box, x: float, y: float) -> None:
    classes = f"box {style.slug(box.family)}"
    group = ET.SubElement(parent, "g", {"class": classes, "data-name": box.name})
    ET.SubElement(group, "title").text = printable(box.tooltip)
    corner = 13 if box.family == "input and output" else 5
    _rectangle(group, place, x, y, corner, style.box(box.family))
    _text(group, "title", x, y + (17 if box.label else 17.5), box.title, "middle")
    if box.label:
        _text(group, "words", x, y + 32, box.label, "middle")
    if box.shape:
        _text(group, "shape", x + 6, y + place.height + 13, box.shape)


def _rectangle(
    parent: ET.Element, place: Place, x: float, y: float, corner: float, look: dict[str, str]
) -> None:
    sizes = {
        "x": x - place.left,
        "y": y,
        "width": place.width,
        "height": place.height,
        "rx": corner,
    }
    ET.SubElement(parent, "rect", {**{k: _number(v) for k, v in sizes.items()}, **look})


def _line(parent: ET.Element, line: Line, target: str, x: float, y: float) -> None:
    points = list(_corners([(a + x, b + y) for a, b in line.points]))
    data = {"data-from": line.source, "data-to": target}
    ET.SubElement(parent, "path", {"class": "line", **data, "d": _rounded(points), **style.line()})
    if line.arrow:
        x, y = points[-1]
        tip = f"M{_number(x)} {_number(y)}l{-_HEAD * 0.8} {-_HEAD * 1.6}h{_HEAD * 1.6}z"
        ET.SubElement(parent, "path", {"class": "arrow", "d": tip, **style.arrow()})


def _corners(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the points where a line starts, turns and ends."""
    for i, point in enumerate(points):
        if 0 < i < len(points) - 1:
            (a, b), (c, d) = points[i - 1], points[i + 1]
            if a == point[0] == c or b == point[1] == d:
                continue
        yield point


def _rounded(points: Sequence[tuple[float, float]]) -> str:
    """Return a path through points, with rounded corners."""
    path = [f"M{_pair(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before), _towards(corner, after)
        path.append(f"L{_pair(start)}Q{_pair(corner)} {_pair(end)}")
    return "".join([*path, f"L{_pair(points[-1])}"])


def _towards(corner: tuple[float, float], point: tuple[float, float]) -> tuple[float, float]:
    """Return the point at the end of a rounded corner, in the direction of another point."""
    dx, dy = point[0] - corner[0], point[1] - corner[1]
    length = abs(dx) + abs(dy)  # one of them is 0
    share = min(_CORNER, length / 2) / length if length else 0
    return corner[0] + dx * share, corner[1] + dy * share


def _legend(place: Place, room: float) -> tuple[list[ET.Element], float]:
    """Return the legend's keys, one for each family in use, and their total height."""
    used = set(_families(place))
    keys, x, y = [], 0.0, 0.0
    for family in (name for name in FAMILIES if name in used):
        width = 18 + text_width(family, TEXT) + 18
        if x and x + width > room:
            x, y = 0, y + _ROW
        key = ET.Element("g", {"class": style.slug(family)})
        sizes = {"x": _number(x), "y": _number(y), "width": "12", "height": "12", "rx": "3"}
        ET.SubElement(key, "rect", {**sizes, **style.box(family)})
        _text(key, "note", x + 18, y + 10, family)
        keys.append(key)
        x += width
    return keys, y + _ROW + 8


def _families(place: Place) -> Iterator[str]:
    if isinstance(place.item, Box):
        yield place.item.family
    for inner in place.children:
        yield from _families(inner)


def _text(
    parent: ET.Element, kind: str, x: float, y: float, text: str, anchor: str = "start"
) -> None:
    attributes = {"class": kind, "x": _number(x), "y": _number(y), "text-anchor": anchor}
    attributes |= style.text(kind)
    ET.SubElement(parent, "text", attributes).text = printable(
        shortened(text) if kind != "note" else text
    )


def _translation(x: float, y: float) -> str:
    return f"translate({_number(x)} {_number(y)})"


def _pair(point: tuple[float, float]) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    return f"{round(value, 1):g}"
