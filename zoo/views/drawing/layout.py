"""Positions of boxes: in layers from top to bottom, each box below its sources.

A frame is laid out after the frames in it, as a layered drawing (Sugiyama, Tagawa and Toda, IEEE
Trans. SMC 11, 1981). Unlike there, a long line is straight if nothing is in its way, and runs
around the boxes otherwise; see ``zoo.views.drawing.routing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from zoo.views.drawing.block_labels import LONGEST
from zoo.views.drawing.scene import INPUT, Box, Frame

#: All sizes are in pixels of the picture.
WIDEST = 1400  # a layer of many items that would be wider continues in the next layer
_MANY = 7  # up to this many items are side by side, however wide they are
GAP = 22  # between boxes side by side
LANE = 10  # between lines side by side
PAD = 12  # between a frame and its contents
TITLE, TEXT = 12, 10.5  # font sizes
_NARROWEST = 136  # of a box
#: Widths of letters relative to the font size, in the widest of the fonts that drawings request.
_LETTERS = {
    letter: width
    for width, letters in (
        (0.28, "'ijlIJ"),
        (0.34, " ,.:;/|\\f-"),
        (0.41, "tr()[]!"),
        (0.53, "szc_*?"),
        (0.6, "kvxyLFP"),
        (0.7, "KAVBRXZCU"),
        (0.8, "wHNDGOQ"),
        (1.0, "mMW×%@…"),
    )
    for letter in letters
}


@dataclass(eq=False)
class Line:
    """A line from one item to another, through points with right angles between them."""

    source: str
    target: str
    points: list[tuple[float, float]]
    arrow: bool


@dataclass(eq=False)
class Place:
    """The position of an item in its frame.

    Attributes:
        item: The box or frame.
        left: Its extent to the left of its axis, an upright line through it.
        right: Its extent to the right of its axis.
        height: Its extent from top to bottom.
        entry_offset: How far to the right of its axis lines enter.
        exit_offset: How far to the right of its axis lines leave.
        x: Position of its axis in the frame around it.
        y: Position of its top.
        children: Positions of the items of a frame, relative to its axis and its top.
        lines: The lines of a frame.
    """

    item: Box | Frame
    left: float
    right: float
    height: float
    entry_offset: float = 0
    exit_offset: float = 0
    x: float = 0
    y: float = 0
    children: list[Place] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def width(self) -> float:
        """Its extent from left to right."""
        return self.left + self.right

    @property
    def entry(self) -> float:
        """The x position at which lines enter."""
        return self.x + self.entry_offset

    @property
    def exit(self) -> float:
        """The x position at which lines leave."""
        return self.x + self.exit_offset

    @property
    def bottom(self) -> float:
        """The y position of its lower edge."""
        return self.y + self.height


def box(item: Box) -> Place:
    """Return a box with room for its text."""
    width = max(text_width(item.title, TITLE, bold=True), text_width(item.label, TEXT)) + 20
    half = max(_NARROWEST, round(width)) / 2
    return Place(item, half, half, 40 if item.label else 26)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Estimate the width of a string in the widest of the fonts."""
    width = sum(_LETTERS.get(letter, 0.64) for letter in shortened(text))
    return width * size * (1.13 if bold else 1)


def shortened(text: str) -> str:
    """Shorten a string to fit into a box."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def layers(frame: Frame, places: Sequence[Place]) -> list[list[int]]:
    """Put each item into the first layer with enough room below all of its sources.

    Args:
        frame: The frame to lay out.
        places: Places of its items; only their widths matter.

    Returns:
        For each layer the indices of its items.
    """
    rows: list[list[int]] = []
    layer_of = {INPUT: -1}
    for i, place in enumerate(places):
        layer = 1 + max((layer_of[a] for a, b in frame.lines if b == i), default=-1)
        while (
            layer < len(rows)
            and len(rows[layer]) >= _MANY
            and _width(rows[layer], places) + place.width > WIDEST
        ):
            layer += 1
        rows += [[] for _ in range(layer + 1 - len(rows))]
        rows[layer].append(i)
        layer_of[i] = layer
    return rows


def align(frame: Frame, places: Sequence[Place], rows: list[list[int]]) -> None:
    """Set the ``x`` of each item: below the middle of its sources, if there is room.

    Items that do not lead to the frame's output, such as an auxiliary head, are placed to the right
    of those that do. The items of each layer are sorted from left to right.
    """
    main = main_path(frame)
    above: list[int] = []
    for layer in rows:
        desired = {}
        for i in layer:
            sources = {source for source, target in frame.lines if target == i}
            # A shortcut from the frame's input does not indicate the direction of the main path.
            relevant = sources - {INPUT} or sources
            xs = [places[s].x if s != INPUT else 0 for s in relevant]
            desired[i] = sum(xs) / max(len(xs), 1)
        layer.sort(key=lambda i: (i not in main, desired[i]))
        spread(
            [places[i] for i in layer],
            [desired[i] for i in layer],
            [1 if i in main else 1e-6 for i in layer],
        )
        _uncross(frame, places, above, layer)
        above = layer


def _uncross(
    frame: Frame, places: Sequence[Place], above: Sequence[int], layer: Sequence[int]
) -> None:
    """Shift items apart if the lines into them cross and would look like one line."""
    short = [(a, b) for a, b in frame.lines if a in above and b in layer]

    def under(target: int, source: int) -> bool:
        return abs(places[target].entry - places[source].exit) < LANE

    for k, first in enumerate(layer):
        into_first = [a for a, b in short if b == first]
        for second in layer[k + 1 :]:
            into_second = [a for a, b in short if b == second]
            if any(under(first, b) for b in into_second) and any(
                under(second, a) for a in into_first
            ):
                for i in layer[layer.index(second) :]:
                    places[i].x += 1.5 * LANE


def spread(row: Sequence[Place], desired: Sequence[float], weights: Sequence[float]) -> None:
    """Move each item of a row as close to its desired position as possible without overlaps.

    This is the least squares solution, by pooling neighbors that would overlap (Ayer et al.,
    Annals of Mathematical Statistics 26, 1955).
    """
    offsets = [0.0]
    for before, place in pairwise(row):
        offsets.append(offsets[-1] + before.right + GAP + place.left)
    pools: list[tuple[float, float, int]] = []  # mean, weight, count
    for x, weight, offset in zip(desired, weights, offsets, strict=True):
        mean, total, count = x - offset, weight, 1
        while pools and pools[-1][0] > mean:
            last_mean, last_total, last_count = pools.pop()
            mean = (mean * total + last_mean * last_total) / (total + last_total)
            total, count = total + last_total, count + last_count
        pools.append((mean, total, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    for place, mean, offset in zip(row, means, offsets, strict=True):
        place.x = round(2 * (mean + offset)) / 2  # makes nearly equal positions equal


def main_path(frame: Frame) -> set[int]:
    """Return the items that the frame's output, or the first output of the network, depends on."""
    ends = {target for _, target in frame.lines} - {source for source, _ in frame.lines}
    main = {min(ends)}
    for source, target in sorted(frame.lines, reverse=True):
        if target in main:
            main.add(source)
    return main


def _width(layer: Sequence[int], places: Sequence[Place]) -> float:
    return sum(places[i].width + GAP for i in layer)
