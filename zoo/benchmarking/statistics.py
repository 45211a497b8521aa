"""Medians and ratios of times, with intervals that say how far they can be trusted.

Times within a process resemble each other more than those of two processes: memory lies elsewhere,
and the machine's load changes. So a process is the unit: the figure of a cell is the median of the
medians of its processes, and the bootstrap draws processes, and then times within them. Ratios are
of two processes of the same round, which ran on the same machine at about the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
#: Two processes say next to nothing of how far a third would be: of what is a millisecond in both,
#: the interval would reach from nanoseconds to days.
LEAST = 3
#: Student's t for 97.5%, by degrees of freedom from 1 on; that of many is 1.96.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL = 1.960

#: Number of the round -> the times in its process.
Rounds = Mapping[int, Sequence[float]]


@dataclass(frozen=True)
class Figure:
    """A figure and its interval.

    Attributes:
        value: The figure.
        low, high: Its 95% interval; None with fewer than three processes.
        p10, p90: Of all times; None for a ratio.
        rounds: How many processes it is from.
    """

    value: float
    low: float | None
    high: float | None
    p10: float | None = None
    p90: float | None = None
    rounds: int = 1

    @property
    def width(self) -> float:
        """Half of the interval, relative to the figure; infinite if there is none.

        Example:
            >>> Figure(2.0, 1.75, 2.5).width
            0.25
        """
        if self.low is None or self.high is None:
            return float("inf")
        return max(self.high - self.value, self.value - self.low) / self.value


def summarize(rounds: Rounds, seed: int = 0) -> Figure:
    """Return the median of times with its interval.

    Args:
        rounds: At least one, each with at least one time, all positive.
        seed: Of the bootstrap.

    Example:
        >>> round(summarize({1: [1.0, 1.1, 9.0], 2: [1.2], 3: [1.0]}).value, 9)
        1.1
    """
    times = [np.log(np.asarray(values, np.float64)) for values in rounds.values()]
    pooled = np.exp(np.concatenate(times))
    p10, p90 = np.quantile(pooled, (0.1, 0.9)).tolist()
    value = _median_of_medians(times)
    low, high = _interval(value, _drawn(times, np.random.default_rng(seed)), len(times))
    return Figure(_exp(value), low, high, p10, p90, len(times))


def ratio(rounds: Rounds, baseline: Rounds, seed: int = 0) -> Figure | None:
    """Return the ratio of the times of two cells, paired by round; None if they share no round.

    Example:
        >>> ratio({1: [2.0], 2: [4.0]}, {1: [1.0], 2: [2.0], 3: [9.0]}).value
        2.0
    """
    shared = [number for number in rounds if number in baseline]
    if not shared:
        return None
    a = [np.log(np.asarray(rounds[number], np.float64)) for number in shared]
    b = [np.log(np.asarray(baseline[number], np.float64)) for number in shared]
    differences = [float(np.median(x) - np.median(y)) for x, y in zip(a, b, strict=True)]
    value = float(np.median(differences))
    drawn = _drawn(a, np.random.default_rng(seed), b)
    low, high = _interval(value, drawn, len(shared))
    return Figure(_exp(value), low, high, rounds=len(shared))


def change(new: Rounds, old: Rounds, seed: int = 0) -> Figure:
    """Return the ratio of the times of a cell to those of an earlier benchmark, not paired.

    Example:
        >>> change({1: [2.0], 2: [2.0]}, {1: [1.0], 2: [1.0]}).value
        2.0
    """
    a, b = ([np.log(np.asarray(v, np.float64)) for v in r.values()] for r in (new, old))
    value = _median_of_medians(a) - _median_of_medians(b)
    random = np.random.default_rng(seed)
    drawn = _drawn(a, random) - _drawn(b, random)
    count = min(len(a), len(b))
    low, high = _interval(value, drawn, count)
    return Figure(_exp(value), low, high, rounds=count)


def settled(times: Sequence[float], window: int = 3, fall: float = 0.05) -> bool:
    """Tell whether times no longer fall: the last few are hardly faster than those before.

    Args:
        times: Of a warm-up, in order.
        window: How many make the medians that are compared.
        fall: By how much, relatively, the later median may be lower.

    Example:
        >>> settled([9.0, 5.0, 3.0, 2.0, 1.5, 1.2]), settled([9.0, 1.0, 1.0, 1.0, 1.0, 0.99, 1.0])
        (False, True)
    """
    if len(times) < 2 * window:
        return False
    before, last = np.median(times[-2 * window : -window]), np.median(times[-window:])
    return bool(last >= (1 - fall) * before)


def _median_of_medians(times: Sequence[np.ndarray]) -> float:
    return float(np.median([np.median(values) for values in times]))


def _drawn(
    a: Sequence[np.ndarray], random: np.random.Generator, b: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """Draw processes, and times within each; return the medians, or those of differences."""

    def medians(times: Sequence[np.ndarray]) -> np.ndarray:  # [processes, draws]
        return np.stack(
            [np.median(v[random.integers(len(v), size=(DRAWS, len(v)))], axis=1) for v in times]
        )

    each = medians(a) if b is None else medians(a) - medians(b)
    chosen = random.integers(len(a), size=(len(a), DRAWS))
    drawn: np.ndarray = np.median(np.take_along_axis(each, chosen, axis=0), axis=0)
    return drawn


def _interval(value: float, drawn: np.ndarray, count: int) -> tuple[float | None, float | None]:
    """Return the interval of a logarithm, not as one.

    Of few processes, percentiles of the bootstrap are too narrow. They are moved away from the
    figure as an interval of Student's is wider than the normal one.

    Source: Hesterberg, What Teachers Should Know About the Bootstrap, section 4.3,
    https://doi.org/10.1080/00031305.2015.1089789
    """
    if count < LEAST:
        return None, None
    t = _T[count - 2] if count - 2 < len(_T) else _NORMAL
    factor = t / _NORMAL * (count / (count - 1)) ** 0.5
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    below, above = max(value - low, 0.0), max(high - value, 0.0)
    return _exp(value - factor * below), _exp(value + factor * above)


def _exp(value: float) -> float:
    return float(np.exp(value))
