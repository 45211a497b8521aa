"""What a few paired numbers say: a mean with its interval, tests, and what they cannot show.

The unit is a seed. Two backends with the same seeds give a difference for each of them, and only
these are taken to be independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from zoo.comparing.bootstrap import bca, widened

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

CONFIDENCE = 0.95
LEVEL = 0.05  # of tests
POWER = 0.8
#: Two seeds say next to nothing of where a third would be.
LEAST = 3
#: A bootstrap interval lies within the values. The mean of n values that are as often above as
#: below it lies within them with a probability of 1 - 2^(1-n), which reaches 95% with six.
LEAST_BOOTSTRAP = 6
MOST_FLIPPED = 14  # seeds whose 2^n signs are all tried
FLIPS = 19_999


@dataclass(frozen=True)
class Figure:
    """The mean of one value for each seed, and how far it can be trusted.

    Attributes:
        mean: The mean.
        median: The median.
        low, high: The 95% interval of the mean; None with fewer than three seeds, and of values
            that are all equal, which say nothing of how others would vary.
        method: How the interval was computed: ``BCa``, ``t`` (Student's) or nothing.
        seeds: How many seeds.
        deviation: The standard deviation over the seeds; None of one seed.
        flip_p: Two-sided p of the sign-flip test that the mean is 0.
        flip_least: The smallest p that the test can give with so many seeds.
        exact: Whether all signs were tried, rather than random ones.
        t_p: Two-sided p of the paired t test; None with fewer than three seeds, and of values that
            are all equal, except if they are 0.
        detectable: The smallest true mean that the t test would find in 80% of such studies.
    """

    mean: float
    median: float
    low: float | None
    high: float | None
    method: str
    seeds: int
    deviation: float | None
    flip_p: float
    flip_least: float
    exact: bool
    t_p: float | None
    detectable: float | None

    @property
    def is_nothing(self) -> bool:
        """Whether all values are 0."""
        return self.mean == 0 and not self.deviation

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval, and 0 is outside."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def summarize(values: Sequence[float] | Array) -> Figure:
    """Describe the mean of values.

    Args:
        values: One for each seed, at least one, finite.

    Example:
        >>> figure = summarize([0.02, 0.03, 0.025, 0.04])
        >>> round(figure.mean, 5), figure.method, figure.flip_p
        (0.02875, 't', 0.125)
    """
    x = np.asarray(values, np.float64)
    count = len(x)
    flip_p, exact = sign_flip(x)
    low, high, method = _interval(x)
    deviation = float(x.std(ddof=1)) if count > 1 else None
    return Figure(
        mean=float(x.mean()),
        median=float(np.median(x)),
        low=low,
        high=high,
        method=method,
        seeds=count,
        deviation=deviation,
        flip_p=flip_p,
        flip_least=2.0 ** (1 - count) if exact else 1 / (FLIPS + 1),
        exact=exact,
        t_p=_t_p(x),
        detectable=detectable(deviation, count) if deviation is not None else None,
    )


def sign_flip(values: Array) -> tuple[float, bool]:
    """Return the two-sided p of the test whose null hypothesis is symmetry around 0.

    Args:
        values: [n], one for each seed.

    Returns:
        The p, and whether all signs were tried.

    Example:
        >>> sign_flip(np.array([1.0, 2.0, 3.0]))
        (0.25, True)
    """
    x = np.asarray(values, np.float64)
    exact = len(x) <= MOST_FLIPPED
    if exact:
        numbers = np.arange(2 ** len(x))[:, None] >> np.arange(len(x))
        signs = 1.0 - 2.0 * (numbers & 1)
    else:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(FLIPS, len(x)))
    limit = abs(x.sum()) * (1 - 1e-12) - 1e-300
    found = int((np.abs(signs @ x) >= limit).sum())
    return (found / len(signs), True) if exact else ((found + 1) / (FLIPS + 1), False)


def equivalence(values: Sequence[float] | Array, margin: float) -> float | None:
    """Return the p of two one-sided t tests that the mean is not within a margin.

    Args:
        values: One for each seed.
        margin: The largest mean, to both sides, that counts as equivalent.

    Returns:
        The larger of the two; None with fewer than three seeds, and of values that are all equal.

    Source: Schuirmann 1987, https://doi.org/10.1007/BF01068419

    Example:
        >>> round(equivalence([0.001, -0.002, 0.001, 0.0], 0.005), 4)
        0.0029
    """
    x = np.asarray(values, np.float64)
    if len(x) < LEAST:
        return None
    mean, error = float(x.mean()), float(x.std(ddof=1)) / len(x) ** 0.5
    beyond = abs(mean) - margin
    if _is_constant(x):
        return None
    return float(stdtr(len(x) - 1, beyond / error))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Adjust the p of several tests, so that one in 20 sets of them has any false finding.

    Args:
        ps: The p of each test; None for what was not tested.

    Source: Holm 1979, https://www.jstor.org/stable/4615733

    Example:
        >>> holm([0.01, None, 0.04, 0.03])
        [0.03, None, 0.06, 0.06]
    """
    tested = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        adjusted[place] = largest
    return adjusted


def detectable(deviation: float, count: int) -> float | None:
    """Return the smallest true mean that a paired t test finds with a power of 80%.

    Args:
        deviation: The standard deviation over the seeds.
        count: How many seeds.

    Returns:
        It; None with fewer than three seeds.

    Example:
        >>> round(detectable(1.0, 34), 2)
        0.5
    """
    if count < LEAST:
        return None
    return deviation * _detectable_effect(count)


def power(effect: float, count: int) -> float:
    """Return the power of a two-sided paired t test.

    Args:
        effect: The true mean in standard deviations.
        count: How many seeds.

    Example:
        >>> round(power(0.5, 34), 4)
        0.8078
    """
    limit = stats.f.ppf(1 - LEVEL, 1, count - 1)  # the square of a t is an F
    return float(stats.ncf.sf(limit, 1, count - 1, count * effect**2))


def _detectable_effect(count: int) -> float:
    if count not in _EFFECTS:
        _EFFECTS[count] = float(brentq(lambda d: power(d, count) - POWER, 1e-6, 30.0, xtol=1e-6))
    return _EFFECTS[count]


_EFFECTS: dict[int, float] = {}


def _interval(x: Array) -> tuple[float | None, float | None, str]:
    if len(x) < LEAST or _is_constant(x):
        return None, None, ""
    if len(x) >= LEAST_BOOTSTRAP:
        return *bca(x, widened(CONFIDENCE, len(x))), "BCa"
    wide = stdtrit(len(x) - 1, (1 + CONFIDENCE) / 2) * x.std(ddof=1) / len(x) ** 0.5
    return float(x.mean() - wide), float(x.mean() + wide), "t"


def _t_p(x: Array) -> float | None:
    if len(x) < LEAST:
        return None
    if _is_constant(x):
        return None if x.any() else 1.0
    error = float(x.std(ddof=1)) / len(x) ** 0.5
    return float(2 * stdtr(len(x) - 1, -abs(float(x.mean())) / error))


def _is_constant(x: Array) -> bool:
    """Whether values are equal but for rounding."""
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())
