"""Where boxes stand: in layers from top to bottom, each below what it reads.

A frame is laid out by itself, its frames inside it first, as a drawing of layers in the manner of
Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11, 1981), but for what long lines do: they go straight
where nothing stands in their way, and around the boxes otherwise (``zoo.views.drawing.routing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from zoo.views.drawing.blocks import LONGEST
from zoo.views.drawing.boxes import INPUT, Box, Frame

#: All in pixels of the picture.
WIDEST = 1400  # a layer of many that would be wider goes on in the next
_MANY = 7  # so many branches of a block stand side by side however wide they are
GAP = 22  # between boxes side by side
LANE = 10  # between lines side by side
PAD = 12  # between a frame and what is in it
TITLE, TEXT = 12, 10.5  # font sizes
_NARROWEST = 136  # of a box
#: How wide letters are, by the font size, in the widest of the fonts that pictures ask for.
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
    """From one item to another, along points with right angles."""

    source: str
    target: str
    points: list[tuple[float, float]]
    arrow: bool


@dataclass(eq=False)
class Place:
    """Where an item stands in its frame.

    Attributes:
        item: A box or a frame.
        left: How far it reaches to the left of its axis, along which lines enter.
        right: And to the right.
        height: From top to bottom.
        into: How far right of its axis lines enter.
        out: How far right of its axis lines leave.
        x: Of the axis.
        y: Of the top.
        inside: What stands in a frame, from its axis and its top.
        lines: In a frame.
    """

    item: Box | Frame
    left: float
    right: float
    height: float
    into: float = 0
    out: float = 0
    x: float = 0
    y: float = 0
    inside: list[Place] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def width(self) -> float:
        """From left to right."""
        return self.left + self.right

    @property
    def entry(self) -> float:
        """Where lines enter, from left to right."""
        return self.x + self.into

    @property
    def exit(self) -> float:
        """Where lines leave, from left to right."""
        return self.x + self.out

    @property
    def bottom(self) -> float:
        """Of the item, in its frame."""
        return self.y + self.height


def box(item: Box) -> Place:
    """Make room for a box's words."""
    wide = max(text_width(item.title, TITLE, bold=True), text_width(item.words, TEXT)) + 20
    half = max(_NARROWEST, round(wide)) / 2
    return Place(item, half, half, 40 if item.words else 26)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Guess how wide a text is in whatever font a reader has; rather too wide than too narrow."""
    width = sum(_LETTERS.get(letter, 0.64) for letter in shortened(text))
    return width * size * (1.13 if bold else 1)


def shortened(text: str) -> str:
    """A text that fits into a box."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def layers(frame: Frame, places: Sequence[Place]) -> list[list[int]]:
    """Put each item into the first layer below all that it reads that has room for it.

    Args:
        frame: What is laid out.
        places: Of its items; only widths are read.

    Returns:
        Positions of items, layer by layer.
    """
    found: list[list[int]] = []
    at = {INPUT: -1}
    for i, place in enumerate(places):
        layer = 1 + max((at[source] for source, target in frame.lines if target == i), default=-1)
        while (
            layer < len(found)
            and len(found[layer]) >= _MANY
            and _width(found[layer], places) + place.width > WIDEST
        ):
            layer += 1
        found += [[] for _ in range(layer + 1 - len(found))]
        found[layer].append(i)
        at[i] = layer
    return found


def align(frame: Frame, places: Sequence[Place], found: list[list[int]]) -> None:
    """Give every item its ``x``: under the middle of what it reads, if there is room.

    What does not lead to the frame's output, such as an auxiliary head, makes way for what does,
    to the right. The layers are put in order from left to right.
    """
    main = leading(frame)
    above: list[int] = []
    for layer in found:
        wanted = {}
        for i in layer:
            sources = {source for source, target in frame.lines if target == i}
            # A shortcut from the frame's input says nothing of where the way leads.
            near = sources - {INPUT} or sources
            wanted[i] = sum(places[s].x if s != INPUT else 0 for s in near) / max(len(near), 1)
        layer.sort(key=lambda i: (i not in main, wanted[i]))
        spread(
            [places[i] for i in layer],
            [wanted[i] for i in layer],
            [1 if i in main else 1e-6 for i in layer],
        )
        _uncross(frame, places, above, layer)
        above = layer


def _uncross(
    frame: Frame, places: Sequence[Place], above: Sequence[int], layer: Sequence[int]
) -> None:
    """Move what stands just below another of a pair whose lines cross: they would run as one."""
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


def spread(row: Sequence[Place], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Place a row as near to where it wants to be as can be without overlaps.

    The least squares solution, by pooling neighbours that would overlap (Ayer and others, Annals
    of Mathematical Statistics 26, 1955).
    """
    offsets = [0.0]
    for before, place in pairwise(row):
        offsets.append(offsets[-1] + before.right + GAP + place.left)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, more, members = pools.pop()
            mean = (mean * total + other * more) / (total + more)
            total, count = total + more, count + members
        pools.append((mean, total, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    for place, mean, offset in zip(row, means, offsets, strict=True):
        place.x = round(2 * (mean + offset)) / 2  # what differs by a hair is the same


def leading(frame: Frame) -> set[int]:
    """What the frame's output depends on; in the whole picture, its first output."""
    ends = {target for _, target in frame.lines} - {source for source, _ in frame.lines}
    found = {min(ends)}
    for source, target in sorted(frame.lines, reverse=True):
        if target in found:
            found.add(source)
    return found


def _width(layer: Sequence[int], places: Sequence[Place]) -> float:
    return sum(places[i].width + GAP for i in layer)
