"""The written training rules, by hand, and the batches they are tried on."""

import numpy as np
import pytest

from zoo.backend.training import RULES, Rule
from zoo.training import rules


def test_sgd_by_hand():
    weights, rule = {"w": np.array([1.0])}, Rule("sgd", 0.5, momentum=0.5, weight_decay=0.1)
    written = rules.Written(rule)
    written.step(weights, {"w": np.array([2.0])}, 1)  # v = 2 + 0.1, w = 1 - 0.5 v
    assert weights["w"] == pytest.approx(-0.05, rel=1e-15)
    written.step(weights, {"w": np.array([2.0])}, 2)  # v = 1.05 + 2 - 0.005
    assert weights["w"] == pytest.approx(-0.05 - 0.5 * 3.045, rel=1e-15)


def test_adam_by_hand():
    weights, rule = {"w": np.array([1.0])}, Rule("adam", 0.1, beta1=0.5, beta2=0.75, eps=0.0)
    written = rules.Written(rule)
    written.step(
        weights, {"w": np.array([4.0])}, 1
    )  # the first step is the rate, whatever the gradient
    assert weights["w"] == pytest.approx(0.9, rel=1e-15)
    written.step(weights, {"w": np.array([-4.0])}, 2)  # m = (1 - 2) / 0.75, v = 16
    assert weights["w"] == pytest.approx(0.9 + 0.1 / 3, rel=1e-15)


def test_a_rule_leaves_the_dtype():
    for name in RULES:
        weights = {"w": np.ones(3, np.float32)}
        written = rules.Written(Rule(name, 0.1, momentum=0.5, weight_decay=0.1))
        for step in (1, 2):
            written.step(weights, {"w": np.ones(3, np.float32)}, step)
        assert weights["w"].dtype == np.float32


def test_batches_are_digits_that_a_person_could_read():
    batches = rules.batches((3, 40, 48), 4, 10)
    assert len(batches) == rules.STEPS
    for x, labels in batches:
        assert x.shape == (4, 3, 40, 48)
        assert x.dtype == np.float32
        assert labels.min() >= 0
        assert labels.max() <= 9
    everything = np.concatenate([x for x, _ in batches])
    assert abs(everything.mean()) < 0.3
    assert 0.7 < everything.std() < 1.3
    zero = batches[0][0][0, 0]  # the first digit is a 0: bright in a ring, dark in the middle
    assert batches[0][1][0] == 0
    assert zero[18:22, 22:26].mean() < zero[18:22, 10:14].mean()
    assert len(np.unique(zero)) == zero.size  # no two values equal: max pools must not choose


def test_fewer_classes_than_digits():
    assert max(labels.max() for _, labels in rules.batches((1, 8, 8), 4, 3)) == 2
