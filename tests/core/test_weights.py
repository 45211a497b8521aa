"""Weights are held against what a model expects, strictly both ways."""

import numpy as np
import pytest

import zoo
from zoo.api.states import in_canonical_form
from zoo.errors import InputError, WeightsError
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


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "None"), ("x", "'x'"), ([None], "None"), (object(), "object")]
)
def test_what_is_no_array_is_quoted(value, shown):
    with pytest.raises(InputError, match=f"conv.bias must be an array of numbers, got {shown}$"):
        checked_arrays(EXPECTED, {**GOOD, "conv.bias": value})
    with pytest.raises(WeightsError, match="unexpected: epoch  no array of numbers"):
        checked_arrays(EXPECTED, {**GOOD, "epoch": value})


def test_several_sets_of_weights_are_refused():
    network = zoo.graph("lenet5")
    one, other = ({p.name: np.zeros(p.shape) for p in network.parameters} for _ in range(2))
    small = {"other": {"weight": np.zeros(3)}}
    for weights, sets in (
        ({0: one, 1: other}, r"weights\[0\], weights\[1\]"),
        ({"a": one, "b": other}, r"weights\['a'\], weights\['b'\]"),
        ({"folds": {0: one, 1: other}, **small}, r"weights\['folds'\]\[0\], .*\[1\]"),
    ):
        message = f"expected one set of weights for the model, got 2: {sets}; pass one of them"
        with pytest.raises(WeightsError, match=message):
            in_canonical_form(weights, network)
    assert in_canonical_form(one, network) is one
    others = {f"{number}.weight": np.zeros(3) for number in range(99)}
    with pytest.raises(
        WeightsError, match=r"are weights\['net'\]\['a'\], beside others; pass that"
    ):
        in_canonical_form({"net": {"a": one, "others": others}}, network)
