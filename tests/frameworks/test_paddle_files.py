"""Checkpoints and programs of PaddlePaddle."""

from __future__ import annotations

import argparse
import contextlib
import pickle
import warnings

import numpy as np
import pytest
from checkpoints import LINEAR, NETWORK, assert_same, prefixed
from loading import load

import zoo
from zoo.errors import WeightsError


@pytest.mark.parametrize("key", ["model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_paddles_training_files(key, prefix, tmp_path):
    load("paddle")
    import paddle

    classes = 10
    network = paddle.vision.models.shufflenet_v2_x0_5(num_classes=classes)
    state = network.state_dict()
    optimizer = paddle.optimizer.Adam(parameters=network.parameters())
    path = tmp_path / "w.pdparams"
    paddle.save(
        {key: prefixed(prefix, state), "optimizer": optimizer.state_dict(), "epoch": 1}, str(path)
    )
    found = zoo.load(path, "paddle")
    assert zoo.graph_of(found).options["num_classes"] == classes
    kernel = zoo.get_weights(found)["fc.weight"]
    (name,) = [n for n, v in state.items() if tuple(v.shape) == kernel.shape[::-1]]
    assert np.array_equal(kernel, state[name].numpy().T)
    place = name.rpartition(".")[0]
    moved = {
        (f"{place}.1.{n.rpartition('.')[2]}" if n.startswith(f"{place}.") else n): v
        for n, v in state.items()
    }
    paddle.save({key: prefixed(prefix, moved)}, str(path))
    assert np.array_equal(zoo.get_weights(zoo.load(path, "paddle"))["fc.weight"], kernel)
    new = zoo.build(LINEAR, "paddle", weights=path, head="new", num_classes=4)
    first = next(iter(zoo.get_weights(new)))
    assert np.array_equal(zoo.get_weights(new)[first], zoo.get_weights(found)[first])


def saved_program(path, kind):
    """paddle.vision's ShuffleNet as a program, of the new kind or the old."""
    load("paddle")
    import paddle

    network = paddle.vision.models.shufflenet_v2_x0_5(num_classes=10)
    network.eval()
    spec = [paddle.static.InputSpec([None, 3, 32, 32], "float32")]
    old = paddle.pir_utils.OldIrGuard() if kind == "old" else contextlib.nullcontext()
    with contextlib.redirect_stderr(None), warnings.catch_warnings(), old:
        warnings.simplefilter("ignore")  # Paddle's own, of its old format
        paddle.jit.save(network, str(path), input_spec=spec)
    return network


def test_paddles_arrays_in_safetensors(tmp_path):
    load("paddle")
    import paddle
    from safetensors.paddle import save_file

    state = paddle.vision.models.shufflenet_v2_x0_5(num_classes=10).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    model = zoo.load(tmp_path / "w.safetensors", "paddle")
    assert zoo.graph_of(model).origin["names"] == "as paddle.vision's"
    assert np.array_equal(zoo.get_weights(model)["fc.weight"], state["_fc.weight"].numpy().T)


def test_a_new_program_of_paddle_is_refused(tmp_path):
    saved_program(tmp_path / "net", "new")
    import paddle

    with pytest.raises(
        WeightsError, match=r"does not have the names.*paddle\.save\(model\.state_dict"
    ):
        zoo.load(tmp_path / "net.pdiparams", "paddle")
    with pytest.raises(WeightsError, match=r"weights are in the \.pdiparams"):
        zoo.load(tmp_path / "net.json", "paddle")
    program = paddle.jit.load(str(tmp_path / "net"))
    paddle.save(program.state_dict(), str(tmp_path / "w.pdparams"))
    with pytest.raises(
        WeightsError, match="does not have the names of layers; save the state_dict"
    ):
        zoo.load(tmp_path / "w.pdparams", "paddle")


def test_an_old_program_of_paddle_is_read(tmp_path):
    network = saved_program(tmp_path / "net", "old")
    import paddle

    path = tmp_path / "net.pdiparams"
    paddle.save(network.state_dict(), str(tmp_path / "w.pdparams"))
    found = zoo.load(path, "paddle")
    assert zoo.graph_of(found).name == LINEAR
    assert_same(found, zoo.load(tmp_path / "w.pdparams", "paddle"))
    whole = path.read_bytes()
    for damaged in (
        whole[:-1], whole[:100], bytes(99), b"\xff" * 99, whole + bytes(1), whole * 2, b"",
        whole.replace(b"\x08\x05\x10\x18", b"\x08\x05\x10\x7f", 1),
        whole.replace(b"\x08\x05\x10\x18", b"\x08\x63\x10\x18", 1),
        whole[:20] + b"\x0b" + b"\x08\x05\x10" + b"\xff" * 7 + b"\x7f",
    ):  # fmt: skip
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"net\.pdiparams"):
            zoo.load(path, "paddle")
    path.write_bytes(whole)
    names = tmp_path / "net.pdiparams.info"
    for value in (
        b"",
        pickle.dumps({}),
        pickle.dumps({"a": {"structured_name": 3}}),
        b"\x80\x04N.",
    ):
        names.write_bytes(value)
        with pytest.raises(WeightsError, match=r"net\.pdiparams"):
            zoo.load(path, "paddle")


def test_a_pickle_of_arrays_with_other_objects(tmp_path):
    graph = zoo.graph(NETWORK)
    arrays = {p.name: np.zeros(p.shape, np.float32) for p in graph.parameters}
    value = {"model": arrays, "args": argparse.Namespace(a=1), "seen": {1, 2}}
    (tmp_path / "w.pdparams").write_bytes(pickle.dumps(value, protocol=4))
    load("paddle")
    found = zoo.build(NETWORK, "paddle", weights=tmp_path / "w.pdparams")
    assert zoo.graph_of(found).origin["note"] == "under 'model'"
