"""Weights are held against what a model expects, strictly both ways."""

import numpy as np
import pytest

from zoo.errors import WeightsError
from zoo.weights.checking import checked_arrays

EXPECTED = {"conv.weight": (4, 3, 1, 1), "conv.bias": (4,)}
GOOD = {"conv.bias": np.zeros(4), "conv.weight": np.zeros((4, 3, 1, 1))}


def test_what_fits_comes_back_in_the_models_order():
    assert list(checked_arrays(EXPECTED, GOOD)) == ["conv.weight", "conv.bias"]


def test_one_error_lists_everything():
    given = {"conv.weight": np.zeros((3, 4, 1, 1)), "conv.scale": np.zeros(4), "n": 3.0}
    with pytest.raises(WeightsError) as caught:
        checked_arrays(EXPECTED, given)
    assert str(caught.value).splitlines() == [
        "the weights do not fit the model:",
        "  missing: conv.bias  4",
        "  unexpected: conv.scale  4",
        "  unexpected: n  a number",
        "  wrong shape: conv.weight  expected 4x3x1x1, got 3x4x1x1",
    ]


def test_a_long_list_is_cut():
    with pytest.raises(WeightsError, match="missing: 88 more"):
        checked_arrays({f"p{i}": (1,) for i in range(100)}, {})


def test_only_declared_heads_are_left_out():
    given = {**GOOD, "aux1.fc.weight": np.zeros(3)}
    assert "aux1.fc.weight" not in checked_arrays(EXPECTED, given, omitted={"aux1.fc.weight"})
    with pytest.raises(WeightsError, match=r"unexpected: aux1.fc.weight  3"):
        checked_arrays(EXPECTED, given, omitted={"aux2.fc.weight"})
    # An omitted name never hides what the model does need.
    assert "conv.weight" in checked_arrays(EXPECTED, GOOD, omitted={"conv.weight"})


def test_values_must_be_floating_point():
    with pytest.raises(WeightsError, match="conv.bias: expected floating-point values, got int64"):
        checked_arrays(EXPECTED, {**GOOD, "conv.bias": np.zeros(4, np.int64)})
