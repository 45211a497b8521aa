"""Checkpoints of Flax: TrainStates and pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from checkpoints import assert_same
from loading import load

import zoo
from zoo.errors import WeightsError


def test_parameters_and_statistics_of_flax(tmp_path):
    """As Flax's older modules and their TrainState have them."""
    load("flax")
    from flax import nnx, serialization

    model = zoo.build("resnet20", "flax", num_classes=4, seed=5)
    pure = {
        key: nnx.to_pure_dict(nnx.state(model, kind))
        for key, kind in (("params", nnx.Param), ("batch_stats", nnx.BatchStat))
    }
    path = tmp_path / "w.msgpack"
    for value in (pure, {"step": 3, "opt_state": {"0": {}}, **pure}):
        path.write_bytes(serialization.to_bytes(value))
        found = zoo.load(path, "flax")
        assert_same(found, model)
        assert zoo.graph_of(found).origin["note"] == "under 'params' and 'batch_stats'"
    path.write_bytes(serialization.to_bytes({"params": pure["params"]}))
    with pytest.raises(WeightsError, match="missing: .*running_mean"):
        zoo.build("resnet20", "flax", weights=path, num_classes=4)


def test_a_pickle_of_flax(tmp_path):
    load("flax")
    from flax import nnx

    model = zoo.build("resnet20", "flax", num_classes=4, seed=5)
    state = nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
    import jax

    arrays = jax.tree.map(np.asarray, state)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(arrays))
    assert_same(zoo.load(tmp_path / "w.pkl", "flax"), model)
