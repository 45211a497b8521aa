"""Routes of lines: down from a box, across in the channel between two layers, down to the next.

A line that passes layers runs straight down from its source or to its target if nothing is in its
way; otherwise it runs next to the boxes, in its own lane. Lines from the same box share a
track of a channel, and so do lines into the same box: a fork or a join is one stroke.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

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
    main_path,
    text_width,
)
from zoo.views.drawing.scene import INPUT, Box, Frame

TRACK = 9  # between lines above each other
_CLEAR = 10  # between a passing line and a box
_LABEL, _ARROW = 17, 15  # room in a channel for the shape and for the arrowhead
_HEADER = 22  # room for the title of a frame


@dataclass
class _Route:
    """A line from layer ``first`` to layer ``last``, which passes those between at ``x``."""

    source: int
    target: int
    start: float
    end: float
    first: int
    last: int
    x: float = 0

    @property
    def crossings(self) -> list[tuple[int, str, float, float]]:
        """The horizontal parts: channel, which part of the line it is, start x, end x."""
        if self.last - self.first == 1:
            return [(self.last, "only", self.start, self.end)]
        return [
            (self.first + 1, "leaving", self.start, self.x),
            (self.last, "arriving", self.x, self.end),
        ]


_Key = tuple[str, int]


@dataclass
class _Stroke:
    """Lines that run along a channel as one stroke.

    Attributes:
        above: The x positions at which lines come in from above.
        below: The x positions at which they leave downwards.
        track: Its track in the channel, counted from the top.
    """

    above: set[float] = field(default_factory=set)
    below: set[float] = field(default_factory=set)
    track: int = 0

    def overlaps(self, other: _Stroke) -> bool:
        xs, other_xs = self.above | self.below, other.above | other.below
        return min(xs) < max(other_xs) + LANE and min(other_xs) < max(xs) + LANE

    def must_be_over(self, other: _Stroke) -> bool:
        """Return whether vertical parts of the two would coincide if this one were lower."""
        return any(abs(a - b) < LANE for a in self.above for b in other.below)


@dataclass
class _Channel:
    """The space above a layer, and the strokes in it."""

    strokes: dict[_Key, _Stroke] = field(default_factory=dict)

    def assign_tracks(self) -> None:
        """Set the tracks of strokes: leaving ones above arriving ones, overlapping ones apart."""
        waiting = [stroke for _, stroke in sorted(self.strokes.items(), key=lambda s: s[0])]
        placed: list[_Stroke] = []
        while waiting:
            stroke = next(
                (s for s in waiting if not any(o.must_be_over(s) for o in waiting if o is not s)),
                waiting[0],
            )
            waiting.remove(stroke)
            overlapping = [other for other in placed if other.overlaps(stroke)]
            taken = {other.track for other in overlapping}
            above = [other.track for other in overlapping if other.must_be_over(stroke)]
            stroke.track = max(above, default=-1) + 1
            while stroke.track in taken:
                stroke.track += 1
            placed.append(stroke)

    @property
    def height(self) -> float:
        return TRACK * max((stroke.track + 1 for stroke in self.strokes.values()), default=0)


def frame(item: Frame, tallest: float = math.inf) -> Place:
    """Lay out a frame and everything in it.

    Args:
        item: The frame.
        tallest: Open blocks taller than this are broken into columns, if possible.

    Returns:
        Its place, which the caller moves. Its children are relative to its axis and its top.
    """
    places = [frame(i, tallest) if isinstance(i, Frame) else box(i) for i in item.items]
    rows = layers(item, places)
    align(item, places, rows)
    routes = _routes(item, places, rows)
    _choose_lanes(routes, places, rows)
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
    place = Place(item, 0, 0, height, children=places, lines=lines)
    if item.title and height > tallest:
        break_up(place, tallest)
    _make_room(item, place)
    return place


def _routes(item: Frame, places: Sequence[Place], rows: Sequence[Sequence[int]]) -> list[_Route]:
    layer_of = {i: layer for layer, row in enumerate(rows) for i in row}
    layer_of |= {INPUT: -1, len(places): len(rows)}
    start = {i: place.exit for i, place in enumerate(places)} | {INPUT: 0.0}
    end = {i: place.entry for i, place in enumerate(places)} | {len(places): 0.0}
    return [_Route(a, b, start[a], end[b], layer_of[a], layer_of[b], end[b]) for a, b in item.lines]


def _choose_lanes(
    routes: Sequence[_Route], places: Sequence[Place], rows: Sequence[Sequence[int]]
) -> None:
    """Set the ``x`` at which each long line passes layers; short ones first, next to the boxes."""
    lanes: list[tuple[float, int, int, int]] = []  # x, first and last layer, source

    def free(x: float, route: _Route) -> bool:
        passed = [places[i] for row in rows[route.first + 1 : route.last] for i in row]
        if any(p.x - p.left - _CLEAR < x < p.x + p.right + _CLEAR for p in passed):
            return False
        # Keep clear of lines that leave or enter boxes in the channels in which this line turns.
        begin = [] if route.source == INPUT else rows[route.first]
        end = [] if route.target == len(places) else rows[route.last]
        occupied = [places[i].exit for i in begin if i != route.source]
        occupied += [places[i].entry for i in end if i != route.target]
        occupied += [
            lane
            for lane, first, last, source in lanes
            if source != route.source and first <= route.last and route.first <= last
        ]
        return all(abs(x - other_x) >= LANE for other_x in occupied)

    def beside(route: _Route) -> float:
        """Return the lane with the smallest detour, between boxes or around them."""
        passed = [places[i] for row in rows[route.first + 1 : route.last] for i in row]
        options = []
        for edge, step in [
            *((place.x + place.right + _CLEAR, LANE) for place in passed),
            *((place.x - place.left - _CLEAR, -LANE) for place in passed),
        ]:
            x = edge
            while not free(x, route):
                x += step
            options.append(x)
        return min(options, key=lambda x: (abs(x - route.start) + abs(x - route.end), -x))

    reach = {r.source: max(o.last for o in routes if o.source == r.source) for r in routes}
    long = [route for route in routes if route.last - route.first > 1]
    for route in sorted(long, key=lambda r: (reach[r.source] - r.first, r.source, -r.last)):
        shared = [x for x, _, _, source in lanes if source == route.source]
        straight = [x for x in (*shared, route.start, route.end) if free(x, route)]
        route.x = straight[0] if straight else beside(route)
        lanes.append((route.x, route.first, route.last, route.source))


def _channels(routes: Sequence[_Route], count: int) -> tuple[list[_Channel], list[list[_Key]]]:
    """Return the channels with their strokes, and for each line the keys of its strokes."""
    arriving: dict[int, int] = {}
    for route in routes:
        arriving[route.target] = arriving.get(route.target, 0) + 1
    channels = [_Channel() for _ in range(count + 1)]
    keys = []
    for route in routes:
        route_keys = []
        for number, part, a, b in route.crossings:
            joins = part != "leaving" and arriving[route.target] > 1
            key: _Key = ("to", route.target) if joins else ("from", route.source)
            route_keys.append(key)
            if a != b:
                stroke = channels[number].strokes.setdefault(key, _Stroke())
                stroke.above.add(a)
                stroke.below.add(b)
        keys.append(route_keys)
    for channel in channels:
        channel.assign_tracks()
    return channels, keys


def _stack(
    item: Frame,
    places: Sequence[Place],
    rows: Sequence[Sequence[int]],
    channels: Sequence[_Channel],
) -> tuple[list[float], float]:
    """Set the ``y`` of each item; return the top of each channel's tracks, and the height."""
    main = main_path(item)
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
    for (channel, _, a, b), key in zip(route.crossings, keys, strict=True):
        if a != b:
            y = tops[channel] + TRACK * channels[channel].strokes[key].track
            points += [(a, y), (b, y)]
    end = height if route.target == len(places) else places[route.target].y
    return [*points, (route.end, end)]


def _make_room(item: Frame, place: Place) -> None:
    """Set the extent of a frame to the left and right of its axis."""
    xs = [x for line in place.lines for x, _ in line.points]
    place.left = (
        max(*(inner.left - inner.x for inner in place.children), *(-x for x in xs), 0) + PAD
    )
    place.right = max(*(inner.right + inner.x for inner in place.children), *xs, 0) + PAD
    if item.title:  # the title is to the left of the entering line
        room = text_width(item.title, TITLE, bold=True) + PAD
        place.left, place.right = max(place.left, room - place.entry_offset), max(place.right, room)
