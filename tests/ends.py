"""What a training run ends with, and how far the ends of two runs are apart."""

import numpy as np

from zoo.training import state as states


def final(folder):
    """The number of steps, and all arrays, of the last checkpoint of a run."""
    saved = states.read(sorted((folder / "checkpoints").iterdir())[-1])
    arrays = {**saved.weights.arrays, **saved.slots}
    return saved.state.step, {name: stored.read() for name, stored in arrays.items()}


def apart(found, expected):
    """The largest difference, relative to the largest value of arrays of its kind."""
    assert found.keys() == expected.keys()
    largest = {}
    for name, value in expected.items():
        kind = name.rpartition("/")[0]
        largest[kind] = max(largest.get(kind, 0), np.abs(value).max())
    return max(
        np.abs(found[name] - value).max() / largest[name.rpartition("/")[0]]
        for name, value in expected.items()
    )
