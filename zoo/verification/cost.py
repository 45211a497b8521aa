"""How long verifications will take: a model of their cost, corrected by what was measured."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence

from zoo.language import index

#: Level -> seconds on two processors for one backend: of any network, of each million parameters,
#: and of each billion multiply-accumulates at the network's own input size. They weigh models
#: against each other; the scale is corrected by what is measured.
_SECONDS = {
    "forward": (1.0, 0.05, 0.6),
    "gradients": (2.0, 0.1, 0.8),
    "training": (4.0, 0.8, 2.0),
    "full": (20.0, 1.5, 6.0),
}
#: How far estimates are off before anything is measured, and how far one model is off the others:
#: standard deviations of the logarithm.
_UNKNOWN, _SCATTER = 0.8, 0.4
_SHARE = 1.28  # standard deviations to both sides that hold four of five


def costs(models: Iterable[str], level: str, backends: int) -> dict[str, float]:
    """Estimate how long models take from their size alone, the same on every machine.

    Args:
        models: Names of models that zoo ships.
        level: As for :func:`zoo.verify`.
        backends: How many are compared.

    Returns:
        Model -> seconds.

    Example:
        >>> found = costs(["lenet5", "vgg16"], "training", 4)
        >>> found["lenet5"] < found["vgg16"]
        True
    """
    base, parameter, mac = _SECONDS[level]
    facts = index.entries()
    return {
        model: backends
        * (base + parameter * facts[model]["parameters"] / 1e6 + mac * facts[model]["macs"] / 1e9)
        for model in models
    }


def shards(costs: Mapping[str, float], count: int) -> list[list[str]]:
    """Divide models into shards that take about the same time.

    Args:
        costs: Model -> seconds.
        count: Number of shards.

    Returns:
        The models of each shard, in the order of ``costs``. Each model is in one of them.

    Example:
        >>> shards({"a": 1, "b": 5, "c": 2, "d": 2}, 2)
        [['b'], ['a', 'c', 'd']]
    """
    order = sorted(costs, key=lambda model: (-costs[model], model))
    totals = [(0.0, number) for number in range(count)]
    place = {}
    for model in order:  # the longest first, each to the shard that has the least so far
        total, number = heapq.heappop(totals)
        place[model] = number
        heapq.heappush(totals, (total + costs[model], number))
    return [[model for model in costs if place[model] == number] for number in range(count)]


class Clock:
    """Estimates the time that is left.

    Args:
        costs: Model -> seconds, for all that are to be verified.
        lanes: How many models are verified at the same time.
    """

    def __init__(self, costs: Mapping[str, float], lanes: int = 1) -> None:
        self._left, self._lanes = dict(costs), max(lanes, 1)
        self._costs = dict(costs)
        self._ratios: list[float] = []

    def measured(self, model: str, seconds: float) -> None:
        """Note how long a model took, in this run or in an earlier one with the same settings."""
        self._left.pop(model, None)
        if seconds > 0:
            self._ratios.append(math.log(seconds / self._costs[model]))

    def skip(self, model: str) -> None:
        """Note that a model took no time worth counting."""
        self._left.pop(model, None)

    def left(self) -> tuple[float, float]:
        """Return the least and the most seconds that are left, which hold in four of five cases."""
        total = sum(self._left.values())
        if not total:
            return 0.0, 0.0
        # The scale is that of a normal distribution, updated by each measurement.
        precision = _UNKNOWN**-2 + len(self._ratios) * _SCATTER**-2
        scale = sum(self._ratios) * _SCATTER**-2 / precision
        # Of many models, those that take longer and those that take less even out.
        evenness = sum(cost**2 for cost in self._left.values()) / total**2
        spread = _SHARE * math.sqrt(1 / precision + _SCATTER**2 * evenness)
        wall = max(total / self._lanes, max(self._left.values())) * math.exp(scale)
        return wall * math.exp(-spread), wall * math.exp(spread)

    def __str__(self) -> str:
        return between(*self.left())


def between(least: float, most: float) -> str:
    """Describe a range of seconds.

    Example:
        >>> between(50, 130), between(4000, 11000), between(3500, 3590)
        ('50 s to 2 min', '65 min to 3 h', '60 min')
    """
    words = _rounded(least), _rounded(most)
    return words[0] if words[0] == words[1] else " to ".join(words)


def _rounded(seconds: float) -> str:
    for unit, size, most in (("s", 1, 90), ("min", 60, 90)):
        if seconds < most * size:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{seconds / 3600:.0f} h"


def _two_digits(value: float) -> int:
    return round(value) if value < 20 else round(value / 5) * 5


def parsed(text: str) -> tuple[int, int] | None:
    """Read a shard such as ``3/16``; None if it is not one."""
    number, _, count = text.partition("/")
    if not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in (number, count)):
        return None
    return (int(number), int(count)) if 1 <= int(number) <= int(count) else None


def shard(costs: Mapping[str, float], which: tuple[int, int]) -> Sequence[str]:
    """Return the models of one shard: its number, from 1 on, and how many there are."""
    number, count = which
    return shards(costs, count)[number - 1]
