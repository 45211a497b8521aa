"""Bootstrap intervals of a mean over seeds: bias-corrected and accelerated.

Of a few seeds, all ways to draw them are counted, so that the interval has no noise of its own.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement
from math import factorial
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

MOST_COUNTED = 8  # seeds: 6,435 ways to draw them
DRAWS = 9_999


def bca(values: Array, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return the BCa interval of the mean.

    Args:
        values: [n], one for each seed, at least two.
        confidence: Of the interval.
        seed: Random seed; used with more than ``MOST_COUNTED`` values.

    Source: Efron, Better Bootstrap Confidence Intervals, https://doi.org/10.2307/2289144

    Example:
        >>> low, high = bca(np.array([1.0, 2.0, 4.0, 7.0, 1.0, 3.0]))
        >>> round(low, 2), round(high, 2)
        (1.69, 5.21)
    """
    x = np.asarray(values, np.float64)
    mean, spread = float(x.mean()), float(np.ptp(x))
    if spread <= 1e-12 * abs(mean):  # equal but for rounding
        return mean, mean
    z = (x - mean) / spread
    means, shares = _means(z, seed)
    below = float(shares[means < 0].sum() + shares[means == 0].sum() / 2)
    bias = ndtri(below)
    # The jackknife's differences of a mean are those from it, up to a factor that cancels.
    acceleration = (z**3).sum() / (6 * (z**2).sum() ** 1.5)
    ends = bias + ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    levels = ndtr(bias + ends / (1 - acceleration * ends))
    places = np.interp(levels, np.cumsum(shares) - shares / 2, means)
    low, high = np.clip(mean + spread * places, x.min(), x.max()).tolist()
    return low, high


def widened(confidence: float, count: int) -> float:
    """Return the confidence to ask of the bootstrap so that few seeds give the stated one.

    Percentiles of the bootstrap are too narrow as the normal interval is, beside Student's, and
    as the standard deviation is that divides by n rather than by n - 1.

    Args:
        confidence: The confidence to state.
        count: How many seeds.

    Source: Hesterberg, What Teachers Should Know About the Bootstrap, section 4.3,
    https://doi.org/10.1080/00031305.2015.1089789

    Example:
        >>> round(widened(0.95, 10), 3), round(widened(0.95, 1000), 3)
        (0.983, 0.95)
    """
    wide = (count / (count - 1)) ** 0.5 * stdtrit(count - 1, (1 + confidence) / 2)
    return float(1 - 2 * ndtr(-wide))


def _means(z: Array, seed: int) -> tuple[Array, Array]:
    """Return the different means of draws, in order, and the probability of each."""
    if len(z) <= MOST_COUNTED:
        counts, shares = _ways(len(z))
        drawn = counts @ z / len(z)
    else:
        places = np.random.default_rng(seed).integers(len(z), size=(DRAWS, len(z)))
        drawn, shares = z[places].mean(axis=1), np.full(DRAWS, 1 / DRAWS)
    means, which = np.unique(drawn.round(12), return_inverse=True)  # equal but for rounding
    return means, np.bincount(which, shares)


@lru_cache
def _ways(count: int) -> tuple[Array, Array]:
    """Return how often each value is drawn in every way to draw, and the ways' probabilities."""
    drawn = np.array(list(combinations_with_replacement(range(count), count)))
    counts = np.stack([(drawn == value).sum(axis=1) for value in range(count)], axis=1)
    factorials = np.array([factorial(n) for n in range(count + 1)], np.float64)
    shares = factorials[count] / factorials[counts].prod(axis=1) / float(count) ** count
    return counts.astype(np.float64), shares
