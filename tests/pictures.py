"""What a reader sees in a picture, and whether anything overlaps anything else."""

import itertools
import re
from xml.etree import ElementTree as ET

from zoo.graphs.blocks import Block

SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """What a reader sees: rectangles by name, lines as points, shapes beside boxes."""

    def __init__(self, text: str) -> None:
        self.root = ET.fromstring(text)
        network = next(g for g in self.root if g.get("class") == "network")
        self.shift = numbers(network.get("transform"))
        groups = [g for g in network.iter(f"{SVG}g") if g.get("data-name") is not None]
        self.boxes = [(g.get("data-name"), rectangle(g)) for g in groups if is_box(g)]
        self.frames = [(g.get("data-name"), rectangle(g)) for g in groups if not is_box(g)]
        self.shapes = {
            g.get("data-name"): text
            for g in groups
            for text in g.findall(f"{SVG}text[@class='shape']")
        }
        self.lines = [
            (p.get("data-from"), p.get("data-to"), segments(p.get("d")))
            for p in network.iter(f"{SVG}path")
            if p.get("class") == "line"
        ]

    @property
    def edges(self) -> set[tuple[str, str]]:
        """From box to box, through the frames between them."""
        into = {}
        for source, target, _ in self.lines:
            into.setdefault(target, []).append(source)

        def boxes_behind(name: str) -> list[str]:
            if name in {n for n, _ in self.boxes}:
                return [name]
            return [box for source in into[name] for box in boxes_behind(source)]

        return {(b, n) for n, _ in self.boxes for s in into.get(n, []) for b in boxes_behind(s)}


def is_small(child) -> bool:
    """Whether it is a short chain of operations, drawn as one box while others are folded."""
    if not isinstance(child, Block):
        return False
    plain = not any(isinstance(step.child, Block) for step in child.steps)
    return plain and child.is_chain and len(child.steps) <= 4


def is_box(group) -> bool:
    return "box" in group.get("class").split()


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", text)]


def rectangle(group) -> tuple[float, float, float, float]:
    rect = group.find(f"{SVG}rect")
    x, y, width, height = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def segments(path: str) -> list[tuple[float, float, float, float]]:
    """The straight parts of a path, extended to the corners that are rounded."""
    points = []
    for sign, rest in re.findall(r"([MLQ])([^MLQ]*)", path):
        where = numbers(rest)
        points.append((where[0], where[1]))  # the corner itself
        if sign == "Q":
            points.append((where[2], where[3]))
    return [
        (min(a, c), min(b, d), max(a, c), max(b, d))
        for (a, b), (c, d) in itertools.pairwise(points)
        if (a, b) != (c, d)
    ]


def overlap(a, b, room: float = 0.11) -> bool:
    """Whether two rectangles share more than an edge; numbers are rounded to a tenth."""
    return a[0] < b[2] - room and b[0] < a[2] - room and a[1] < b[3] - room and b[1] < a[3] - room


def crosses(segment, rect) -> bool:
    """Whether a line goes through a rectangle, not only along or up to its edge."""
    x0, y0, x1, y1 = segment
    return overlap((x0 - 0.2, y0 - 0.2, x1 + 0.2, y1 + 0.2), rect, 0.4)


def collinear(a, b) -> bool:
    """Whether two lines run along each other."""
    upright = a[0] == a[2] and b[0] == b[2] and abs(a[0] - b[0]) < 2
    level = a[1] == a[3] and b[1] == b[3] and abs(a[1] - b[1]) < 2
    return (upright and min(a[3], b[3]) - max(a[1], b[1]) > 1) or (
        level and min(a[2], b[2]) - max(a[0], b[0]) > 1
    )


def check_nothing_is_in_the_way(picture: Picture) -> None:
    for (_, a), (_, b) in itertools.combinations(picture.boxes, 2):
        assert not overlap(a, b)
    for (name, a), (other, b) in itertools.combinations(picture.frames, 2):
        nested = other.startswith(f"{name}.") or name.startswith(f"{other}.")
        assert overlap(a, b) == nested
    for source, target, parts in picture.lines:
        for name, rect in picture.boxes:
            assert not any(crosses(part, rect) for part in parts), (source, target, name)
        for name, rect in picture.frames:
            inside = source.startswith(f"{name}.")
            assert inside or not any(crosses(part, rect) for part in parts), (source, target, name)
    for (a, b, parts), (c, d, others) in itertools.combinations(picture.lines, 2):
        if a != c and b != d:
            along = [pair for pair in itertools.product(parts, others) if collinear(*pair)]
            assert not along, (a, b, c, d, along)
