"""What dropout drops, which is drawn without a framework."""

import math

import numpy as np
import pytest

import zoo
from zoo.training.masks import Masks

MASKED = """
conv: {op: conv, out_channels: 3, kernel_size: 3, padding: 1}
depth: {op: stochastic_depth, rate: 0.25}
map: {op: dropout, rate: 0.5}
flatten: {op: flatten}
vector: {op: dropout, rate: 0.1}
fc: {op: linear, out_features: $num_classes}
"""


@pytest.fixture
def masked(spec_file):
    return zoo.graph(spec_file(MASKED, header="options: {num_classes: 4, input_size: [6, 5]}\n"))


def test_masks_drop_by_their_rates(masked):
    masks = Masks(masked, 1, dtype="float64").batch(3, 2000)
    for name, rate in (("depth", 0.25), ("map", 0.5), ("vector", 0.1)):
        mask = masks[name]
        assert set(np.unique(mask)) == {0, 1 / (1 - rate)}
        share = (mask == 0).mean()
        assert abs(share - rate) < 4 * math.sqrt(rate * (1 - rate) / mask.size)
    assert masks["depth"].shape == (2000, 1, 1, 1)
    assert masks["map"].shape == (2000, 3, 6, 5)


def test_masks_are_the_same_in_every_layout(masked):
    first, last = (Masks(masked, 1, layout).batch(3, 4) for layout in ("CHW", "HWC"))
    assert np.array_equal(first["map"].transpose(0, 2, 3, 1), last["map"])
    folded = first["vector"].reshape(4, 3, 6, 5).transpose(0, 2, 3, 1).reshape(4, -1)
    assert np.array_equal(folded, last["vector"])
    assert np.array_equal(first["depth"], last["depth"])


def test_masks_depend_on_seed_step_and_node_alone(masked):
    one = Masks(masked, 1).batch(3, 64)
    assert all(
        np.array_equal(one[name], mask) for name, mask in Masks(masked, 1).batch(3, 64).items()
    )
    for others in (Masks(masked, 2).batch(3, 64), Masks(masked, 1).batch(4, 64)):
        assert not any(np.array_equal(one[name], mask) for name, mask in others.items())
    assert not np.array_equal(one["map"].reshape(64, -1) > 0, one["vector"] > 0)
