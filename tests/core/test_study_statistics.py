"""The statistics of studies, against other libraries and published examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from studying import seeded

from zoo.comparing import bootstrap, statistics
from zoo.comparing.pairing import status
from zoo.comparing.results import Condition, Trained

#: Student's soporific drugs, 1908: the hours of sleep that one gave more than the other.
SLEEP = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) - np.array(
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)


@pytest.mark.parametrize("count", [7, 8, 12])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_bca_is_scipys(count, confidence):
    x = seeded(count).exponential(size=count)
    found = bootstrap.bca(x, confidence)
    theirs = stats.bootstrap(
        (x,), np.mean, method="BCa", n_resamples=20_000, confidence_level=confidence, rng=seeded(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found == pytest.approx(tuple(theirs), abs=0.04 * width)


@given(
    st.lists(st.integers(-1000, 1000), min_size=3, max_size=7, unique=True),
    st.floats(0.1, 10),
    st.floats(-5, 5),
)
@settings(max_examples=25, deadline=None)
def test_an_interval_moves_with_the_values(values, scale, shift):
    x = np.array(values, float)
    moved = [scale * end + shift for end in bootstrap.bca(x)]
    assert bootstrap.bca(scale * x + shift) == pytest.approx(moved, rel=1e-6, abs=1e-6)
    assert x.min() <= bootstrap.bca(x)[0] <= bootstrap.bca(x)[1] <= x.max()


@pytest.mark.parametrize("count", [3, 7, 10])
def test_the_sign_flip_test_is_scipys(count):
    x = seeded(count).normal(0.4, 1, count)
    theirs = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    ).pvalue
    assert statistics.sign_flip(x) == (pytest.approx(theirs), True)


def test_beyond_fourteen_seeds_signs_are_random():
    x = seeded(3).normal(0.4, 1, 16)
    numbers = np.arange(2**16)[:, None] >> np.arange(16)
    means = (1 - 2.0 * (numbers & 1)) @ x
    exact = (np.abs(means) >= abs(x.sum()) - 1e-12).mean()
    found, counted = statistics.sign_flip(x)
    assert not counted and found == pytest.approx(exact, abs=4 * (exact / statistics.FLIPS) ** 0.5)


@pytest.mark.parametrize(("count", "least"), [(2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_few_seeds_cannot_give_a_small_p(count, least):
    figure = statistics.summarize(np.linspace(1, 1.1, count))
    assert figure.flip_p == figure.flip_least == least
    assert (figure.low is None) == (figure.t_p is None) == (count < 3)
    assert figure.method == ("" if count < 3 else "t" if count < 6 else "BCa")


def test_students_sleep():
    """R documents the paired t test of it, and TOSTER that it is not equivalent within 0.5."""
    figure = statistics.summarize(SLEEP)
    assert figure.t_p == pytest.approx(0.002833, abs=1e-6)
    assert figure.mean == pytest.approx(-1.58)
    theirs = stats.ttest_1samp(SLEEP, -0.5, alternative="greater")
    assert theirs.statistic == pytest.approx(-2.777, abs=1e-3)
    assert statistics.equivalence(SLEEP, 0.5) == pytest.approx(theirs.pvalue)
    assert statistics.equivalence(SLEEP[:2], 0.5) is None


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=9), st.floats(0.01, 1))
@settings(max_examples=25, deadline=None)
def test_tost_is_the_larger_of_two_tests(values, margin):
    x = np.array(values)
    if x.std() < 1e-6:
        return
    above = stats.ttest_1samp(x, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(x, margin, alternative="less").pvalue
    assert statistics.equivalence(x, margin) == pytest.approx(max(above, below), abs=1e-9)


def test_the_detectable_difference_is_that_of_gpower():
    """For d = 0.5 and a power of 80%, G*Power needs 34 pairs, and has 0.8077778 then."""
    assert statistics.power(0.5, 34) == pytest.approx(0.8077778, abs=1e-6)
    assert statistics.detectable(1.0, 34) < 0.5 < statistics.detectable(1.0, 33)
    assert statistics.detectable(2.0, 8) == pytest.approx(2 * statistics.detectable(1.0, 8))


def test_values_that_do_not_vary_show_nothing():
    """Top-1 of few images is a coarse measure: three equal differences are no proof of any."""
    figure = statistics.summarize([0.01] * 3)
    assert figure.low is figure.high is figure.t_p is None and figure.flip_p == 0.25
    assert statistics.equivalence([0.0] * 3, 0.01) is None
    assert statistics.summarize([0.0] * 3).is_nothing and not figure.is_nothing


def test_holm_is_that_of_r():
    """``p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")``."""
    found = statistics.holm([0.01, 0.02, 0.03, 0.04, 0.05])
    assert found == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


@pytest.mark.parametrize("count", [3, 5, 6, 8])
def test_intervals_have_the_stated_confidence(count):
    """The true mean is in 95% of them, where the plain bootstrap has 75 to 90%."""
    random = seeded(count)
    inside = sum(
        figure.low <= 0 <= figure.high
        for _ in range(400)
        for figure in [statistics.summarize(random.normal(size=count))]
    )
    assert inside >= 400 * 0.91


def test_chance_level_is_binomial():
    condition = Condition("m", "d", {}, frozenset(), 0, 0)
    limit = stats.binom.isf(0.01, 1000, 0.1) / 1000
    run = Trained(condition, "torch", {}, limit + 0.002, 2.0, images=(100,) * 10)
    assert status(run) == "learned" and status(replace(run, top1=limit - 0.002)) == "chance"
    uneven = replace(run, top1=0.5, images=(500, 300, 200))  # the largest class is half of them
    assert status(uneven) == "chance"
    assert status(replace(run, loss=float("nan"))) == status(replace(run, top1=None)) == "stopped"
    assert status(replace(run, top1=0.1, images=(), classes=(0.1,) * 10)) == "chance"
