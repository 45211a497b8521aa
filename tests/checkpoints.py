"""What the tests of checkpoints share: two small networks, and how weights are compared."""

from __future__ import annotations

import numpy as np

import zoo

NETWORK = "squeezenet1_1"  # few weights, and a convolution that classifies
LINEAR = "shufflenet_v2_x0_5"  # few weights, and a linear layer that classifies


def prefixed(prefix, state):
    return {f"{prefix}{name}": value for name, value in state.items()}


def assert_same(found, expected, *, but=()):
    found, expected = zoo.get_weights(found), zoo.get_weights(expected)
    for name, value in expected.items():
        if not name.startswith(but or ("none",)):
            assert np.array_equal(found[name], value), name
