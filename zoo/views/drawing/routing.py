"""Where lines run: down from a box, across in the channel between two layers, down into the next.

A line that passes layers goes straight down through them where nothing stands in its way, from
where it leaves or to where it arrives; otherwise beside them, in a lane of its own. Lines from one
box share a track of a channel, as do those into one box, so that forks and joins are one stroke.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from zoo.views.drawing.boxes import INPUT, Box, Frame
from zoo.views.drawing.columns import break_up
from zoo.views.drawing.layout import (
    LANE,
    PAD,
    TITLE,
    Line,
    Place,
    align,
    box,
    layers,
    leading,
    text_width,
)

TRACK = 9  # between lines one above the other
_CLEAR = 10  # between a line that passes and a box
_LABEL, _ARROW = 17, 15  # room in a channel for the shape, and for the arrow's head
_HEADER = 22  # of a frame, for its title


@dataclass
class _Route:
    """A line on its way: from layer ``first`` to layer ``last``, between them at ``x``."""

    source: int
    target: int
    start: float
    end: float
    first: int
    last: int
    x: float = 0

    @property
    def runs(self) -> list[tuple[int, str, float, float]]:
        """Where it runs across: channel, the stroke it is part of, from, to."""
        if self.last - self.first == 1:
            return [(self.last, "only", self.start, self.end)]
        return [
            (self.first + 1, "leaving", self.start, self.x),
            (self.last, "arriving", self.x, self.end),
        ]


_Key = tuple[str, int]


@dataclass
class _Stroke:
    """Lines that run across a channel as one.

    Attributes:
        above: Where they come from, across.
        below: Where they go.
        track: Of the channel, counted from the top.
    """

    above: set[float] = field(default_factory=set)
    below: set[float] = field(default_factory=set)
    track: int = 0

    def overlaps(self, other: _Stroke) -> bool:
        mine, others = self.above | self.below, other.above | other.below
        return min(mine) < max(others) + LANE and min(others) < max(mine) + LANE

    def must_be_over(self, other: _Stroke) -> bool:
        """Whether the two would run along each other upright, were this one the lower."""
        return any(abs(a - b) < LANE for a in self.above for b in other.below)


@dataclass
class _Channel:
    """The room above a layer, and the strokes that run there."""

    strokes: dict[_Key, _Stroke] = field(default_factory=dict)

    def share_out(self) -> None:
        """Give strokes tracks: those that leave over those that arrive, apart if they overlap."""
        waiting = [stroke for _, stroke in sorted(self.strokes.items(), key=lambda s: s[0])]
        placed: list[_Stroke] = []
        while waiting:
            stroke = next(
                (s for s in waiting if not any(o.must_be_over(s) for o in waiting if o is not s)),
                waiting[0],
            )
            waiting.remove(stroke)
            near = [other for other in placed if other.overlaps(stroke)]
            taken = {other.track for other in near}
            stroke.track = max((o.track + 1 for o in near if o.must_be_over(stroke)), default=0)
            while stroke.track in taken:
                stroke.track += 1
            placed.append(stroke)

    @property
    def height(self) -> float:
        return TRACK * max((stroke.track + 1 for stroke in self.strokes.values()), default=0)


def frame(item: Frame, tallest: float = math.inf) -> Place:
    """Lay out a frame and all that is in it.

    Args:
        item: The frame.
        tallest: An open block that is taller is broken into columns, where it can be.

    Returns:
        Its place, to be moved; what is inside stands about its axis, below its top.
    """
    places = [frame(i, tallest) if isinstance(i, Frame) else box(i) for i in item.items]
    rows = layers(item, places)
    align(item, places, rows)
    routes = _routes(item, places, rows)
    _choose_ways(routes, places, rows)
    channels, keys = _channels(routes, len(rows))
    tops, height = _stack(item, places, rows, channels)
    lines = [
        Line(
            item.name_of(route.source),
            item.name_of(route.target),
            _points(route, keys[k], channels, tops, places, height),
            route.target < len(places) and isinstance(item.items[route.target], Box),
        )
        for k, route in enumerate(routes)
    ]
    place = Place(item, 0, 0, height, inside=places, lines=lines)
    if item.title and height > tallest:
        break_up(place, tallest)
    _make_room(item, place)
    return place


def _routes(item: Frame, places: Sequence[Place], rows: Sequence[Sequence[int]]) -> list[_Route]:
    at = {i: layer for layer, row in enumerate(rows) for i in row}
    at |= {INPUT: -1, len(places): len(rows)}
    start = {i: place.exit for i, place in enumerate(places)} | {INPUT: 0.0}
    end = {i: place.entry for i, place in enumerate(places)} | {len(places): 0.0}
    return [_Route(a, b, start[a], end[b], at[a], at[b], end[b]) for a, b in item.lines]


def _choose_ways(
    routes: Sequence[_Route], places: Sequence[Place], rows: Sequence[Sequence[int]]
) -> None:
    """Decide where each line that passes layers does so; short ones first, nearest the boxes."""
    ways: list[tuple[float, int, int, int]] = []  # x, layers from and to, source

    def free(x: float, route: _Route) -> bool:
        passed = [places[i] for row in rows[route.first + 1 : route.last] for i in row]
        if any(p.x - p.left - _CLEAR < x < p.x + p.right + _CLEAR for p in passed):
            return False
        # Where it turns, others leave their boxes or arrive.
        begin = [] if route.source == INPUT else rows[route.first]
        end = [] if route.target == len(places) else rows[route.last]
        others = [places[i].exit for i in begin if i != route.source]
        others += [places[i].entry for i in end if i != route.target]
        others += [
            other
            for other, first, last, source in ways
            if source != route.source and first <= route.last and route.first <= last
        ]
        return all(abs(x - other) >= LANE for other in others)

    def beside(route: _Route) -> float:
        """Between boxes, or around them: whichever is the smallest detour."""
        passed = [places[i] for row in rows[route.first + 1 : route.last] for i in row]
        ways = []
        for edge, step in [
            *((place.x + place.right + _CLEAR, LANE) for place in passed),
            *((place.x - place.left - _CLEAR, -LANE) for place in passed),
        ]:
            x = edge
            while not free(x, route):
                x += step
            ways.append(x)
        return min(ways, key=lambda x: (abs(x - route.start) + abs(x - route.end), -x))

    reach = {r.source: max(o.last for o in routes if o.source == r.source) for r in routes}
    long = [route for route in routes if route.last - route.first > 1]
    for route in sorted(long, key=lambda r: (reach[r.source] - r.first, r.source, -r.last)):
        own = [x for x, _, _, source in ways if source == route.source]
        straight = [x for x in (*own, route.start, route.end) if free(x, route)]
        route.x = straight[0] if straight else beside(route)
        ways.append((route.x, route.first, route.last, route.source))


def _channels(routes: Sequence[_Route], count: int) -> tuple[list[_Channel], list[list[_Key]]]:
    """Say which strokes run in each channel, and of which strokes each line is."""
    arriving: dict[int, int] = {}
    for route in routes:
        arriving[route.target] = arriving.get(route.target, 0) + 1
    channels = [_Channel() for _ in range(count + 1)]
    keys = []
    for route in routes:
        own = []
        for number, part, a, b in route.runs:
            joins = part != "leaving" and arriving[route.target] > 1
            key: _Key = ("to", route.target) if joins else ("from", route.source)
            own.append(key)
            if a != b:
                stroke = channels[number].strokes.setdefault(key, _Stroke())
                stroke.above.add(a)
                stroke.below.add(b)
        keys.append(own)
    for channel in channels:
        channel.share_out()
    return channels, keys


def _stack(
    item: Frame,
    places: Sequence[Place],
    rows: Sequence[Sequence[int]],
    channels: Sequence[_Channel],
) -> tuple[list[float], float]:
    """Give every item its ``y``; return where each channel's tracks begin, and the whole height."""
    main = leading(item)
    y, tops = float(_HEADER if item.title else 0), []
    for layer, row in enumerate(rows):
        tops.append(y + TRACK)
        below = any(isinstance(places[i].item, Box) for i in row)
        if layer or item.title:
            y += channels[layer].height + _ARROW
        height = max(places[i].height for i in row)
        for i in row:
            slack = height - places[i].height
            places[i].y = y + (slack / 2 if i in main else 0)
        y += height + (_LABEL if below and (layer + 1 < len(rows) or item.title) else 0)
    tops.append(y + TRACK)
    return tops, y + (channels[-1].height + PAD if item.title else 0)


def _points(
    route: _Route,
    keys: Sequence[_Key],
    channels: Sequence[_Channel],
    tops: Sequence[float],
    places: Sequence[Place],
    height: float,
) -> list[tuple[float, float]]:
    y = 0.0 if route.source == INPUT else places[route.source].bottom
    points = [(route.start, y)]
    for (channel, _, a, b), key in zip(route.runs, keys, strict=True):
        if a != b:
            y = tops[channel] + TRACK * channels[channel].strokes[key].track
            points += [(a, y), (b, y)]
    end = height if route.target == len(places) else places[route.target].y
    return [*points, (route.end, end)]


def _make_room(item: Frame, place: Place) -> None:
    """Say how far a frame reaches about its axis."""
    xs = [x for line in place.lines for x, _ in line.points]
    place.left = max(*(inner.left - inner.x for inner in place.inside), *(-x for x in xs), 0) + PAD
    place.right = max(*(inner.right + inner.x for inner in place.inside), *xs, 0) + PAD
    if item.title:  # which stands left of the line that comes in
        room = text_width(item.title, TITLE, bold=True) + PAD
        place.left, place.right = max(place.left, room - place.into), max(place.right, room)
