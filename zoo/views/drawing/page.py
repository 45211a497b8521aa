"""A picture that fits a page: in how many columns it is drawn, and how tall its open blocks are.

All there is to choose from is laid out and measured; layouts are cheap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from zoo.views.drawing import routing
from zoo.views.drawing.boxes import Frame
from zoo.views.drawing.columns import set_side_by_side, size, splits
from zoo.views.drawing.layout import Place

_SHAPE = 1.4  # width by height of a page, between a screen's and paper's
_SCREEN = 640  # pixels: what is no higher is read as it is, and gains nothing by more columns
_MOST = 16
_STEP = 1.3  # from one height of open blocks that is tried to the next
#: What a picture must gain in size, as a logarithm, to be worth one more column, broken blocks,
#: and columns of which one is higher than another.
_COLUMN, _BROKEN, _UNEVEN = 0.08, 0.1, 0.5


def fitted(frame: Frame, columns: int | None = None) -> Place:
    """Lay out a picture in columns.

    Args:
        frame: The whole picture.
        columns: How many at most, all blocks in one piece; without it, as many as let it be
            largest on a page.

    Returns:
        Its place.
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
    """What each way to draw it costs: the cost, the limit of open blocks, how many columns."""
    tallest = math.inf
    while True:
        place = routing.frame(frame, tallest)
        for count, columns in enumerate(splits(place, _MOST), start=1):
            width, height = size(columns)
            heights = [column.height for column in columns]
            cost = math.log(max(width / _SHAPE, height, _SCREEN))
            cost += _UNEVEN * math.log(max(heights) / min(heights)) + _COLUMN * (count - 1)
            yield cost + (_BROKEN if tallest < math.inf else 0), tallest, count
        highest = max((inner.height for inner in place.inside if inner.inside), default=0)
        tallest = min(tallest, highest) / _STEP
        if tallest < _SCREEN / 2:
            return
