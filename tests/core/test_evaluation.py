"""Ranks and losses, by hand."""

import math

import numpy as np
import pytest

from zoo.training.evaluation import cross_entropy, rank


def test_ranks_and_losses_by_hand():
    logits = np.array([[0.0, 2.0, 1.0], [5.0, 5.0, 1.0], [np.nan, 1.0, 0.0]])
    assert rank(logits, [2, 1, 0]).tolist() == [1, 1, 2]
    assert cross_entropy(np.log([[0.5, 0.25, 0.25]]), np.array([1]))[0] == pytest.approx(
        math.log(4)
    )
