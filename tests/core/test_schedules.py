"""Learning rates as functions of the step."""

import math

import pytest

import zoo
from zoo.errors import InputError, UnknownNameError


def test_the_cosine_is_the_papers():
    """SGDR, equation 5, with a least rate of 0."""
    rate = zoo.schedule("cosine", 0.3, steps=200)
    for step in range(201):
        assert rate(step) == pytest.approx(0.15 * (1 + math.cos(step / 200 * math.pi)), abs=1e-16)


def test_the_warm_up_rises_in_a_line_and_then_the_schedule_begins():
    rate = zoo.schedule("step", 0.4, warmup=4, milestones=(6, 8), gamma=0.5)
    expected = [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2, 0.2, 0.1]
    assert [rate(step) for step in range(9)] == pytest.approx(expected, rel=1e-15)
    cosine = zoo.schedule("cosine", 1.0, steps=12, warmup=2)
    assert cosine(2) == 1.0
    assert cosine(7) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cosin", "lr": 1}, "Did you mean 'cosine'"),
        ({"name": "cosine", "lr": 1}, "needs steps"),
        ({"name": "constant", "lr": -1}, "lr must be a number of at least 0"),
        ({"name": "constant", "lr": float("nan")}, "lr must be a number"),
        ({"name": "step", "lr": 1, "milestones": (4, 2)}, "milestones must be"),
        ({"name": "cosine", "lr": 1, "steps": 5, "warmup": 6}, "warmup must be from 0"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(arguments, message):
    with pytest.raises((InputError, UnknownNameError), match=message):
        zoo.schedule(**arguments)
