"""Breaks a long chain into columns, at positions that only one line passes.

That line continues at the top of the next column. An open block is broken like the whole picture;
its line then leaves at the bottom of its last column. The columns are about equally high.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo.views.drawing.layout import GAP, PAD, Line, Place
from zoo.views.drawing.scene import Box

_BELOW, _ABOVE = 24, 16  # from the end of a column to the turn of its line


@dataclass(eq=False)
class _Piece:
    """Layers that stay together, the lines among them, and the line that leaves them."""

    places: list[Place] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    leaving: Line | None = None

    @property
    def top(self) -> float:
        return min(place.y for place in self.places)

    @property
    def bottom(self) -> float:
        return max(place.bottom for place in self.places)

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def left(self) -> float:
        return min(self._xs)

    @property
    def right(self) -> float:
        return max(self._xs)

    @property
    def _xs(self) -> list[float]:
        ends = [x for p in self.places for x in (p.x - p.left, p.x + p.right)]
        return ends + [x for line in self.lines for x, _ in line.points]

    def move(self, dx: float, dy: float) -> None:
        for place in self.places:
            place.x, place.y = place.x + dx, place.y + dy
        for line in self.lines:
            line.points = [(x + dx, y + dy) for x, y in line.points]


def splits(whole: Place, most: int) -> list[list[_Piece]]:
    """Distribute the boxes of a picture among columns.

    Args:
        whole: The picture, or an open block.
        most: The largest number of columns.

    Returns:
        The most even distribution for one column, for two, and so on.
    """
    pieces = _pieces(whole)
    return [
        [_joined(pieces[i:j]) for i, j in zip([0, *ends], ends, strict=False)]
        for ends in _even([p.top for p in pieces], [p.bottom for p in pieces], most)
    ]


def break_up(block: Place, tallest: float) -> None:
    """Break an open block, in place, into the fewest columns within a height, if possible."""
    most = math.ceil(block.height / tallest) + 2
    candidates = splits(block, most)
    fitting = (columns for columns in candidates if max(c.height for c in columns) <= tallest)
    columns = next(fitting, candidates[-1])
    if len(columns) == 1:
        return
    names = {place.item.name for place in block.children}
    entry = next(line for line in block.lines if line.source not in names)
    exit_ = next(line for line in block.lines if line.target not in names)
    top = columns[0].top
    set_side_by_side(columns)
    middle = (columns[0].left + columns[-1].right) / 2
    whole = _Piece(block.children, block.lines)
    whole.move(-middle, top)
    block.height = whole.bottom + _BELOW + PAD
    block.entry_offset, block.exit_offset = entry.points[0][0], exit_.points[-1][0]
    exit_.points[-1] = (block.exit_offset, block.height)


def _pieces(whole: Place) -> list[_Piece]:
    """Cut the picture at every position that only one line passes."""
    band_of: dict[str, int] = {}  # items side by side are in the same band
    reach = -math.inf
    band = -1
    for place in sorted(whole.children, key=lambda p: p.y):
        band += place.y >= reach
        reach = max(reach, place.bottom)
        band_of[place.item.name] = band
    # The input of the block is above its first band, and its output is below its last one.
    spans = [
        (band_of.get(line.source, -1), band_of.get(line.target, band + 1)) for line in whole.lines
    ]
    ends: dict[int, bool] = {}  # whether a band contains only inputs or outputs
    for place in whole.children:
        number = band_of[place.item.name]
        ends[number] = ends.get(number, True) and _is_end(place)
    piece_of_band = [0]
    for i in range(band):
        passing = [(a, b) for a, b in spans if a <= i < b]
        cut = len(passing) == 1 and passing[0][0] >= 0 and passing[0][1] <= band
        # The input stays with its readers, and an output with its source.
        cut = cut and not (ends[i] and i == 0) and not ends[i + 1]
        piece_of_band.append(piece_of_band[-1] + cut)
    pieces = [_Piece() for _ in range(piece_of_band[-1] + 1)]
    for place in whole.children:
        pieces[piece_of_band[band_of[place.item.name]]].places.append(place)
    for line, (a, b) in zip(whole.lines, spans, strict=True):
        above, below = piece_of_band[max(a, 0)], piece_of_band[min(b, band)]
        if above == below:
            pieces[above].lines.append(line)
        else:
            pieces[above].leaving = line
    return pieces


def _is_end(place: Place) -> bool:
    return isinstance(place.item, Box) and place.item.family == "input and output"


def _even(tops: Sequence[float], bottoms: Sequence[float], most: int) -> list[list[int]]:
    """Return, for each number of columns, the ends that minimize the sum of squared heights."""
    count = len(tops)
    # For the pieces before j: the least sum for the current number of columns, and their ends.
    best: list[tuple[float, list[int]]] = [(0, []), *[(math.inf, [])] * count]
    ways = []
    for _ in range(min(most, count)):
        best = [
            min(
                (
                    (best[i][0] + (bottoms[j - 1] - tops[i]) ** 2, [*best[i][1], j])
                    for i in range(j)
                ),
                # Among equally even ways, prefer the one whose last columns are shorter.
                key=lambda way: (round(way[0], 3), [-end for end in way[1]]),
                default=(math.inf, []),
            )
            for j in range(count + 1)
        ]
        ways.append(best[count][1])
    return ways


def _joined(pieces: Sequence[_Piece]) -> _Piece:
    """Join the pieces of a column."""
    inner = [piece.leaving for piece in pieces[:-1] if piece.leaving]
    return _Piece(
        [place for piece in pieces for place in piece.places],
        [*(line for piece in pieces for line in piece.lines), *inner],
        pieces[-1].leaving,
    )


def size(columns: Sequence[_Piece]) -> tuple[float, float]:
    """Return the width and height of columns side by side."""
    width = sum(column.right - column.left + 2 * GAP for column in columns) - 2 * GAP
    turns = _BELOW + _ABOVE if len(columns) > 1 else 0
    return width, max(column.height for column in columns) + turns


def set_side_by_side(columns: Sequence[_Piece]) -> None:
    """Move columns side by side, and route a line from each to the next.

    The first one keeps its x position. All of them start at y = 0.
    """
    right = columns[0].left
    leaving: Line | None = None
    start = (0.0, 0.0)
    for column in columns:
        column.move(right - column.left, -column.top)
        by_name = {place.item.name: place for place in column.places}
        if leaving:
            (x, y), gutter, end = start, right - GAP, by_name[leaving.target].entry
            turns = [(x, y), (x, y + _BELOW), (gutter, y + _BELOW), (gutter, -_ABOVE)]
            leaving.points = [*turns, (end, -_ABOVE), (end, by_name[leaving.target].y)]
        leaving = column.leaving
        if leaving:
            source = by_name[leaving.source]
            start = source.exit, source.bottom
        right = column.right + 2 * GAP
