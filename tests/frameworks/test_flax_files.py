"""Checkpoints of Flax: TrainStates and pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from checkpoints import assert_same
from loading import load

import zoo
from zoo.errors import WeightsError
from zoo.weights.reading import flax_file


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
    with pytest.raises(WeightsError, match="the parameters of resnet20 without its running means"):
        zoo.load(path, "flax")
    averages = {"ema_params": pure["params"], **pure, "params": pure["batch_stats"]}
    path.write_bytes(serialization.to_bytes(averages))
    found = zoo.load(path, "flax", entry="ema_params")  # with the only statistics beside it
    assert_same(found, model)
    assert zoo.graph_of(found).origin["note"] == "under 'ema_params' and 'batch_stats'"


def test_large_arrays_of_flax_are_in_parts(tmp_path, monkeypatch):
    load("flax")
    from flax import nnx, serialization

    model = zoo.build("resnet20", "flax", num_classes=4, seed=5)
    state = nnx.to_pure_dict(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 5_000)
    path = tmp_path / "w.msgpack"
    written = serialization.msgpack_serialize(state)
    path.write_bytes(written)
    assert b"chunked_array" in written
    assert_same(zoo.load(path, "flax"), model)
    kernel = {"kernel": np.arange(4000, dtype=np.float32).reshape(40, 100)}
    good = serialization.msgpack_serialize(kernel)
    assert np.array_equal(
        flax_file.read(_written(path, good))[0]["kernel"].read(), kernel["kernel"]
    )
    for bad in (good.replace(b"\xa11d", b"\xa11e"), good.replace(b"\xa10\xc8", b"\xa17\xc8")):
        assert bad != good
        with pytest.raises(WeightsError, match="damaged"):
            flax_file.read(_written(path, bad))


def _written(path, content):
    path.write_bytes(content)
    return path


def test_a_pickle_of_flax(tmp_path):
    load("flax")
    from flax import nnx

    model = zoo.build("resnet20", "flax", num_classes=4, seed=5)
    state = nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
    import jax

    arrays = jax.tree.map(np.asarray, state)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(arrays))
    assert_same(zoo.load(tmp_path / "w.pkl", "flax"), model)


def _ways_of_saving(params, stats):
    """What trees and names become in training scripts -> what the origin says of it."""
    from flax.traverse_util import flatten_dict

    both, whole = {"params": params, "batch_stats": stats}, {}
    for tree in (params, stats):
        whole |= flatten_dict(tree)
    flat = {"/".join(path): array for path, array in whole.items()}
    yield flat, None
    yield {f"model/{name}": array for name, array in flat.items()}, "without 'model.'"
    yield flatten_dict(both, sep="/"), "under 'params' and 'batch_stats'"
    yield flatten_dict(both, sep="."), "under 'params' and 'batch_stats'"
    inner = {kind: {"model": tree} for kind, tree in both.items()}
    yield inner, "under 'params' and 'batch_stats' and 'model'"
    yield {"state": inner}, "under 'state' and 'params' and 'batch_stats' and 'model'"
    own = {kind: {"my_net": tree} for kind, tree in both.items()}
    yield own, "under 'params' and 'batch_stats'; without 'my_net.'"


def test_trees_and_names_of_training_scripts(tmp_path):
    load("flax")
    import jax
    from flax import nnx, serialization
    from safetensors.numpy import save_file

    model = zoo.build("resnet20", "flax", num_classes=4, seed=5)
    kinds = (nnx.Param, nnx.BatchStat)
    trees = [nnx.to_pure_dict(nnx.state(model, kind)) for kind in kinds]
    for value, note in _ways_of_saving(*jax.tree.map(np.asarray, trees)):
        paths = [tmp_path / "w.msgpack"]
        paths[0].write_bytes(serialization.msgpack_serialize(value))
        if not any(isinstance(each, dict) for each in value.values()):
            paths.append(tmp_path / "w.safetensors")
            save_file(value, paths[1])
        for path in paths:
            found = zoo.load(path, "flax")
            assert_same(found, model)
            assert zoo.graph_of(found).origin.get("note") == note
        target = zoo.build("resnet20", "flax", num_classes=4)
        if not any(name.startswith(("params.", "params/")) for name in value):
            zoo.set_weights(target, value)
            assert_same(target, model)


@pytest.fixture(scope="module")
def lenet5():
    """A model, and its state as dicts of NumPy's arrays in dicts."""
    load("flax")
    import jax
    from flax import nnx

    model = zoo.build("lenet5", "flax", seed=5)
    return model, jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))


def test_set_weights_takes_flat_states(lenet5):
    from flax import nnx
    from flax.traverse_util import flatten_dict

    model, state = lenet5
    flat = flatten_dict(state)
    flat_states = (
        flat,
        {("params", *path): array for path, array in flat.items()},
        {("state", 0, *path): array for path, array in flat.items()},
        nnx.to_flat_state(nnx.state(model)),
        dict(nnx.to_flat_state(nnx.state(model))),
    )
    target = zoo.build("lenet5", "flax", seed=6)
    for each in flat_states:
        zoo.set_weights(target, {n: 0 * array for n, array in zoo.get_weights(target).items()})
        zoo.set_weights(target, each)
        assert_same(target, model)


def test_set_weights_says_how_the_state_of_flax_differs(lenet5):
    import jax
    from flax.traverse_util import flatten_dict

    model, state = lenet5
    extra = {**state, "more": {"kernel": np.zeros(3)}}
    changed = {**state, "f6": {"linear": {"kernel": np.zeros((120, 3)), "bias": np.zeros(3)}}}
    lacking = {name: layer for name, layer in state.items() if name != "f6"}
    cases = (
        (extra, "unexpected: more.kernel  3"),
        ({**jax.tree.map(jax.numpy.asarray, state), "more": np.zeros(3)}, "unexpected: more  3"),
        (flatten_dict(extra), "unexpected: more.kernel  3"),
        (changed, "wrong shape: .*"),
        (lacking, "missing: .*"),
    )
    for value, problem in cases:
        message = rf"the weights do not fit the model:(\n  {problem}){{1,2}}$"
        with pytest.raises(WeightsError, match=message):
            zoo.set_weights(model, value)
