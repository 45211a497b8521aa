"""A long picture in columns: where only one line passes, it may go on at the top of the next."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo.drawing.layout import GAP, Line, Place

_SHAPE = 1.4  # width by height that a picture should have, as a slide
_MOST = 8
_BELOW, _ABOVE = 24, 16  # from a column's end to where its line turns


@dataclass(eq=False)
class _Piece:
    """What stays together: some layers, the lines among them, and the one that leaves them."""

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


def wrap(place: Place, columns: int | None = None) -> None:
    """Break a picture into columns, in place.

    Args:
        place: The whole picture; what is in it is moved.
        columns: How many at most; without it, as many as bring the picture nearest to a slide's
            shape.
    """
    pieces = _pieces(place)
    counts = range(1, _MOST + 1) if columns is None else [columns]
    splits = [_split(pieces, count) for count in counts]
    _set_side_by_side(min(splits, key=lambda split: abs(math.log(_ratio(split) / _SHAPE))))


def _pieces(whole: Place) -> list[_Piece]:
    """Cut the picture wherever no more than one line passes."""
    band_of: dict[str, int] = {}  # items that stand beside each other are in one band
    reach = -math.inf
    band = -1
    for place in sorted(whole.inside, key=lambda p: p.y):
        band += place.y >= reach
        reach = max(reach, place.bottom)
        band_of[place.item.name] = band
    spans = [(band_of[line.source], band_of[line.target]) for line in whole.lines]
    piece_of_band = [0]
    for i in range(band):
        cut = sum(a <= i < b for a, b in spans) == 1
        piece_of_band.append(piece_of_band[-1] + cut)
    pieces = [_Piece() for _ in range(piece_of_band[-1] + 1)]
    for place in whole.inside:
        pieces[piece_of_band[band_of[place.item.name]]].places.append(place)
    for line, (a, b) in zip(whole.lines, spans, strict=True):
        piece = pieces[piece_of_band[a]]
        if piece_of_band[a] == piece_of_band[b]:
            piece.lines.append(line)
        else:
            piece.leaving = line
    return pieces


def _split(pieces: Sequence[_Piece], count: int) -> list[_Piece]:
    """Share pieces out to so many columns at most, the highest as low as can be."""
    tops, bottoms = [p.top for p in pieces], [p.bottom for p in pieces]

    def shared(limit: float) -> list[list[int]]:
        columns: list[list[int]] = [[]]
        for i in range(len(pieces)):
            if columns[-1] and bottoms[i] - tops[columns[-1][0]] > limit:
                columns.append([])
            columns[-1].append(i)
        return columns

    tallest = max(b - t for t, b in zip(tops, bottoms, strict=True))
    spans = {b - t for i, t in enumerate(tops) for b in bottoms[i:]}
    heights = sorted(span for span in spans if span >= tallest)
    least = bisect_left(heights, True, key=lambda limit: len(shared(limit)) <= count)
    return [_joined(pieces[c[0] : c[-1] + 1]) for c in shared(heights[least])]


def _joined(pieces: Sequence[_Piece]) -> _Piece:
    """Pieces of one column as one."""
    inner = [piece.leaving for piece in pieces[:-1] if piece.leaving]
    return _Piece(
        [place for piece in pieces for place in piece.places],
        [*(line for piece in pieces for line in piece.lines), *inner],
        pieces[-1].leaving,
    )


def _ratio(columns: Sequence[_Piece]) -> float:
    width = sum(column.right - column.left + 2 * GAP for column in columns)
    return width / max(column.bottom - column.top + _BELOW + _ABOVE for column in columns)


def _set_side_by_side(columns: Sequence[_Piece]) -> None:
    right = 0.0
    leaving: Line | None = None
    start = (0.0, 0.0)
    for column in columns:
        column.move(right - column.left, -column.top)
        at = {place.item.name: place for place in column.places}
        if leaving:
            (x, y), gutter, end = start, right - GAP, at[leaving.target].x
            turns = [(x, y), (x, y + _BELOW), (gutter, y + _BELOW), (gutter, -_ABOVE)]
            leaving.points = [*turns, (end, -_ABOVE), (end, at[leaving.target].y)]
        leaving = column.leaving
        if leaving:
            start = at[leaving.source].x, at[leaving.source].bottom
        right = column.right + 2 * GAP
