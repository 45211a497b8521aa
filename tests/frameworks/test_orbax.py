"""Folders that Orbax writes of a model's state are read by every framework, bit for bit."""

from __future__ import annotations

import json
import shutil
import sys
import warnings

import numpy as np
import pytest
from conftest import FRAMEWORKS
from loading import load

import zoo
from zoo.errors import WeightsError, ZooError

SPEC = """
conv: {op: conv, out_channels: 6, kernel_size: 3, bias: false}
bn: {op: batch_norm}
flatten: {op: flatten}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 5, input_size: 6}\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "tiny.yaml"
    layers = "".join(f"  {line}\n" for line in SPEC.strip().splitlines())
    path.write_text(f"format: 1\nname: tiny\n{HEADER}layers:\n{layers}")
    return path


@pytest.fixture(scope="module")
def model(tiny):
    load("flax")
    found = zoo.build(tiny, "flax")
    rng = np.random.default_rng(3)
    weights = zoo.get_weights(found)
    zoo.set_weights(found, {n: rng.random(a.shape).astype(a.dtype) for n, a in weights.items()})
    return found


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Orbax's own, of sharding and of what it will change
        yield


def stepwise(state, other, path, **options):
    """What a CheckpointManager writes: the last step, after others."""
    import orbax.checkpoint as ocp

    options = ocp.CheckpointManagerOptions(**options)
    with ocp.CheckpointManager(path, options=options) as manager:
        for step in (9, 10):
            saved = ocp.args.StandardSave(state if step == 10 else other)
            more = ocp.args.JsonSave({"loss": 1})
            manager.save(step, args=ocp.args.Composite(state=saved, more=more))
        manager.wait_until_finished()


def apart(state, path):
    """Parameters and statistics as two items of a step."""
    import orbax.checkpoint as ocp
    from flax import nnx

    kinds = {"params": nnx.Param, "batch_stats": nnx.BatchStat}
    trees = {name: pure(nnx.filter_state(state, kind)) for name, kind in kinds.items()}
    items = {name: ocp.args.StandardSave(tree) for name, tree in trees.items()}
    with ocp.CheckpointManager(path) as manager:
        manager.save(2, args=ocp.args.Composite(**items))
        manager.wait_until_finished()


def several(state, path):
    """A step with two networks as its items, neither of which has a usual name."""
    import orbax.checkpoint as ocp

    items = {"student": {"other": np.ones(3)}, "teacher": state}
    with ocp.CheckpointManager(path) as manager:
        saved = {name: ocp.args.StandardSave(item) for name, item in items.items()}
        manager.save(4, args=ocp.args.Composite(**saved))
        manager.wait_until_finished()


def standard(value, path):
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, value)


def tree(value, path, **options):
    import orbax.checkpoint as ocp

    ocp.PyTreeCheckpointer(**options).save(path, value)


def pure(state):
    from flax import nnx

    return nnx.to_pure_dict(state)


def halved(state):
    import jax

    return jax.tree.map(lambda x: x.astype("bfloat16"), state)


#: What is called -> what it says in the origin, and the key to read.
WRITERS = {
    "a state": (standard, None, None),
    "a pure state": (lambda s, path: standard(pure(s), path), None, None),
    "a tree": (tree, None, None),
    "a pure tree": (lambda s, path: tree(pure(s), path), None, None),
    "without OCDBT": (lambda s, path: tree(s, path, use_ocdbt=False), None, None),
    "Zarr 3": (lambda s, path: tree(s, path, use_zarr3=True), None, None),
    "training": (
        lambda s, path: standard({"model": s, "step": 3, "optimizer": {"mu": np.ones(3)}}, path),
        "under 'model'", None,
    ),
    "averages": (
        lambda s, path: standard({"ema": pure(s), "model": {"other": np.ones(3)}}, path),
        "under 'ema'", "ema",
    ),
    "steps": (lambda s, path: stepwise(s, pure(s), path), "under step 10 and 'state'", None),
    "parameters and statistics": (apart, "under step 2 and 'params' and 'batch_stats'", None),
    "items": (several, "under step 4 and 'teacher'", "teacher"),
    "named steps": (
        lambda s, path: stepwise(s, pure(s), path, step_prefix="ckpt", step_format_fixed_length=6),
        "under step 10 and 'state'", None,
    ),
}  # fmt: skip


def assert_same(found, model):
    found, expected = zoo.get_weights(found), zoo.get_weights(model)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].tobytes() == value.tobytes(), name


def state_of(model):
    from flax import nnx

    return nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat, nnx.RngCount))


@pytest.mark.parametrize("kind", WRITERS)
def test_every_way_of_saving(kind, tiny, model, tmp_path):
    write, note, entry = WRITERS[kind]
    write(state_of(model), tmp_path / "saved")
    for backend in FRAMEWORKS if kind == "a state" else ("flax",):
        load(backend)
        found = zoo.build(tiny, backend, weights=tmp_path / "saved", entry=entry)
        assert_same(found, model)
        origin = zoo.graph_of(found).origin
        assert (origin["names"], origin.get("note")) == ("as zoo's", note)


def test_load_knows_the_network_and_its_classes(tmp_path):
    load("flax")
    model = zoo.build("resnet20", "flax", num_classes=7, seed=5)
    standard(state_of(model), tmp_path / "saved")
    found = zoo.load(str(tmp_path / "saved"), "flax")
    assert zoo.graph_of(found).name == "resnet20"
    assert_same(found, model)
    with pytest.raises(WeightsError, match="zoo's names of resnet20, which is not the network"):
        zoo.build("resnet32", "flax", weights=tmp_path / "saved")


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_set_weights_takes_what_orbax_restores(backend, tiny, model, tmp_path):
    import orbax.checkpoint as ocp

    load(backend)
    target = zoo.build(tiny, backend, seed=1)
    for value in (state_of(model), pure(state_of(model))):
        standard(value, tmp_path / "saved")
        zoo.set_weights(target, {n: a * 0 for n, a in zoo.get_weights(target).items()})
        zoo.set_weights(target, ocp.StandardCheckpointer().restore(tmp_path / "saved"))
        assert_same(target, model)
        shutil.rmtree(tmp_path / "saved")
    from flax import serialization

    data = serialization.msgpack_serialize(pure(state_of(model)))
    zoo.set_weights(target, {n: a * 0 for n, a in zoo.get_weights(target).items()})
    zoo.set_weights(target, serialization.msgpack_restore(data))
    assert_same(target, model)


# Damage


@pytest.fixture(params=[True, False], ids=["OCDBT", "files"])
def saved(request, model, tmp_path):
    tree(state_of(model), tmp_path / "saved", use_ocdbt=request.param)
    return tmp_path / "saved"


def files(path):
    return sorted(each for each in path.rglob("*") if each.is_file())


def test_a_damaged_folder_is_refused_or_read_rightly(saved, tiny, model, tmp_path):
    for number, file in enumerate(files(saved)):
        for damage in (lambda data: None, lambda data: b"", lambda data: data[: len(data) // 2]):
            folder = tmp_path / "damaged"
            shutil.copytree(saved, folder)
            again = folder / file.relative_to(saved)
            data = damage(again.read_bytes())
            again.unlink() if data is None else again.write_bytes(data)
            try:
                assert_same(zoo.build(tiny, "flax", weights=folder), model)
            except ZooError as error:
                assert str(folder) in str(error) or "do not fit" in str(error), number
            shutil.rmtree(folder)


@pytest.mark.parametrize("what", ["a part", "an array"])
def test_a_missing_part_is_not_taken_for_zeros(what, tiny, model, tmp_path):
    folder = tmp_path / "saved"
    tree(pure(state_of(model)), folder, use_ocdbt=False)
    if what == "a part":
        (folder / "fc.kernel" / "0.0").unlink()
    else:
        shutil.rmtree(folder / "fc.kernel")
    with pytest.raises(WeightsError, match="not a checkpoint of Orbax, or damaged"):
        zoo.build(tiny, "flax", weights=folder)


def changed(folder, **fields):
    described = folder / "fc.kernel" / ".zarray"
    described.write_text(json.dumps({**json.loads(described.read_text()), **fields}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": [1 << 40, 5], "chunks": [1 << 20, 5]}, "its arrays are larger than the folder"),
        ({"shape": [96, 5], "chunks": [1 << 40, 5]}, "its chunks are larger than the array"),
        ({"shape": [96, 6], "chunks": [96, 6]}, "wrong shape: fc.weight"),
        ({"dtype": "|O"}, "damaged"),
        ({"compressor": {"id": "none"}}, "damaged"),
    ],
)
def test_sizes_are_not_believed(fields, message, tiny, model, tmp_path):
    folder = tmp_path / "saved"
    tree(pure(state_of(model)), folder, use_ocdbt=False)
    changed(folder, **fields)
    with pytest.raises(WeightsError, match=message):
        zoo.build(tiny, "flax", weights=folder)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"tree_metadata": 3}', '{"tree_metadata": {"a": {}}}', "[" * 100_000,
     '{"tree_metadata": {"a": {"key_metadata": [{"key": "../../etc"}], "value_metadata": '
     '{"value_type": "jax.Array"}}}}', '{"tree_metadata": {}}'],
)  # fmt: skip
def test_a_tree_of_anything_else(text, tmp_path):
    (tmp_path / "_METADATA").write_text(text)
    with pytest.raises(WeightsError, match=str(tmp_path)):
        zoo.load(tmp_path, "flax")


def test_other_folders_are_named(tiny, model, tmp_path):
    import orbax.checkpoint as ocp

    with pytest.raises(WeightsError, match="a folder; pass the path of the file"):
        zoo.load(tmp_path, "flax")
    standard({"other": {"kernel": np.ones(3)}}, tmp_path / "foreign")
    with pytest.raises(WeightsError, match=r"are not those of any network.*other\.kernel"):
        zoo.load(tmp_path / "foreign", "flax")
    with ocp.CheckpointManager(tmp_path / "steps") as manager:
        manager.save(1, args=ocp.args.Composite(
            a=ocp.args.StandardSave({"x": np.ones(3)}), b=ocp.args.StandardSave({"x": np.ones(3)})
        ))  # fmt: skip
        manager.wait_until_finished()
    with pytest.raises(WeightsError, match="it has a, b; pass one of them as entry"):
        zoo.load(tmp_path / "steps", "flax")


def test_what_is_missing_is_said(tiny, model, tmp_path, monkeypatch):
    standard(state_of(model), tmp_path / "saved")
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    with pytest.raises(WeightsError, match="zoo needs tensorstore: python -m pip install orbax"):
        zoo.build(tiny, "flax", weights=tmp_path / "saved")
