"""Fits a picture to a page: the number of columns, and the height of open blocks.

Every candidate is laid out and measured; layouts are cheap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from zoo.views.drawing import routing
from zoo.views.drawing.columns import set_side_by_side, size, splits
from zoo.views.drawing.layout import Place
from zoo.views.drawing.scene import Frame

_ASPECT = 1.4  # ratio of width to height of a page, between those of screens and paper
_SCREEN = 640  # pixels: a picture of this height needs no more columns
_MOST_COLUMNS = 16
_STEP = 1.3  # ratio between the heights of open blocks that are tried
#: Penalties for one more column, for broken blocks, and for columns of unequal height, in units of
#: the logarithm of the picture's scale.
_COLUMN, _BROKEN, _UNEVEN = 0.08, 0.1, 0.5


def fit(frame: Frame, columns: int | None = None) -> Place:
    """Lay out a picture in columns.

    Args:
        frame: The whole picture.
        columns: The largest number of columns; open blocks then stay in one piece. If None, the
            number that makes the picture largest on a page.

    Returns:
        The place of the picture.
    """
    if columns is not None:
        place = routing.frame(frame)
        set_side_by_side(splits(place, columns)[-1])
        return place
    _, tallest, count = min(_choices(frame))
    place = routing.frame(frame, tallest)
    set_side_by_side(splits(place, count)[count - 1])
    return place


def _choices(frame: Frame) -> Iterator[tuple[float, float, int]]:
    """Yield candidates: their cost, the limit for open blocks, and the number of columns."""
    tallest = math.inf
    while True:
        place = routing.frame(frame, tallest)
        for count, columns in enumerate(splits(place, _MOST_COLUMNS), start=1):
            width, height = size(columns)
            heights = [column.height for column in columns]
            cost = math.log(max(width / _ASPECT, height, _SCREEN))
            cost += _UNEVEN * math.log(max(heights) / min(heights)) + _COLUMN * (count - 1)
            yield cost + (_BROKEN if tallest < math.inf else 0), tallest, count
        highest = max((inner.height for inner in place.children if inner.children), default=0)
        tallest = min(tallest, highest) / _STEP
        if tallest < _SCREEN / 2:
            return
