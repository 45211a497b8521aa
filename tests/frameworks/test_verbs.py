"""The public verbs, in every framework."""

from __future__ import annotations

import random

import numpy as np
import pytest
from small import GOOGLENET, VGG, VGG_BN

import zoo
from zoo.errors import BackendError, InputError, UnknownNameError, WeightsError
from zoo.weights import initial


@pytest.fixture(scope="module")
def small(framework, backend):
    return zoo.build(VGG_BN, backend)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).standard_normal((2, 3, 32, 32)).astype(np.float32)


@pytest.mark.parametrize("init", ["he_uniform", "glorot_uniform", "paper"])
def test_initial_weights_are_the_same_bits_in_all_frameworks(init, framework, backend):
    model = zoo.build(VGG_BN, backend, seed=11, init=init)
    graph = zoo.graph(VGG_BN)
    draw = initial.drawing(graph, 11, init)
    weights = zoo.get_weights(model)
    assert list(weights) == [p.name for p in graph.parameters]
    for parameter in graph.parameters:
        assert weights[parameter.name].tobytes() == draw(parameter).tobytes(), parameter.name


def test_a_graph_is_built_as_a_name_is(framework, backend):
    graph = zoo.Graph.from_dict(zoo.graph(VGG_BN, num_classes=7).to_dict())
    model, named = (
        zoo.build(graph, backend, seed=5),
        zoo.build(VGG_BN, backend, num_classes=7, seed=5),
    )
    assert zoo.graph_of(model) == graph
    expected = zoo.get_weights(named)
    for name, value in zoo.get_weights(model).items():
        assert value.tobytes() == expected[name].tobytes(), name
    with pytest.raises(
        InputError, match=r"num_classes: a graph or a model already has its options"
    ):
        zoo.build(graph, backend, num_classes=8)


def test_a_graph_takes_weights_as_a_name_does(tmp_path, framework, backend, small):
    zoo.save(small, tmp_path / "w.safetensors")
    graph, expected = zoo.graph_of(small), zoo.get_weights(small)
    model = zoo.build(graph, backend, weights=tmp_path / "w.safetensors", seed=9)
    assert all(np.array_equal(v, expected[n]) for n, v in zoo.get_weights(model).items())
    ten = zoo.graph(VGG_BN, num_classes=13)
    with pytest.raises(WeightsError, match=r"head"):
        zoo.build(ten, backend, weights=tmp_path / "w.safetensors")
    model = zoo.build(ten, backend, weights=tmp_path / "w.safetensors", head="new")
    assert zoo.graph_of(model).options["num_classes"] == 13


@pytest.mark.frameworks
def test_native_initial_weights_are_the_frameworks_own(spec_file, framework, backend):
    path = spec_file("conv: {op: conv, out_channels: 160, kernel_size: 3}")
    options = {"in_channels": 80, "input_size": 3}  # so many values that their deviation is known
    first = zoo.get_weights(zoo.build(path, backend, **options, init="native"))
    ours = zoo.get_weights(zoo.build(path, backend, **options))
    kernel = first["conv.weight"]
    fan_in, fan_out = 80 * 9, 160 * 9
    deviation = {
        "torch": (1 / 3 / fan_in) ** 0.5,
        "paddle": (2 / fan_in) ** 0.5,
        "keras": (2 / (fan_in + fan_out)) ** 0.5,
        "flax": (1 / fan_in) ** 0.5,
    }[backend]
    assert kernel.std() == pytest.approx(deviation, rel=0.02)
    assert not np.array_equal(kernel, ours["conv.weight"])
    first, again = (zoo.get_weights(zoo.build(VGG_BN, backend, init="native")) for _ in range(2))
    for name, value in first.items():
        assert np.array_equal(value, again[name]), f"{name}: the seed does not fix native weights"


def test_building_touches_no_global_random_state(framework, backend):
    random.seed(3)
    np.random.seed(3)
    zoo.build(VGG_BN, backend)
    after = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    assert after == (random.random(), np.random.random())


def test_weights_go_round_unchanged(small):
    weights = zoo.get_weights(small)
    generator = np.random.default_rng(2)
    other = {n: generator.uniform(0.5, 1, v.shape).astype(np.float32) for n, v in weights.items()}
    before = {name: value.copy() for name, value in other.items()}
    zoo.set_weights(small, other)
    found = zoo.get_weights(small)
    for name, value in before.items():
        assert np.array_equal(found[name], value), name
        assert np.array_equal(other[name], value), "the caller's arrays are never changed"
    other["fc3.bias"][:] = 9
    assert np.array_equal(zoo.get_weights(small)["fc3.bias"], before["fc3.bias"]), "never shared"
    zoo.set_weights(small, weights)


def test_weights_that_do_not_fit_leave_the_model_untouched(small):
    weights = zoo.get_weights(small)
    bad = {**weights, "fc2.weight": weights["fc2.weight"][:-1], "extra": np.zeros(3)}
    del bad["fc3.bias"]
    bad["fc1.bias"] = bad["fc1.bias"] + 1
    with pytest.raises(
        WeightsError,
        match=r"(?s)missing: fc3.bias  7.*unexpected: extra  3.*wrong shape: fc2.weight  exp",
    ):
        zoo.set_weights(small, bad)
    for name, value in zoo.get_weights(small).items():
        assert np.array_equal(value, weights[name])


def test_weights_with_heads_load_into_a_model_without(framework, backend):
    full = zoo.build(GOOGLENET, backend, aux=True, seed=1)
    plain = zoo.build(GOOGLENET, backend, seed=2)
    zoo.set_weights(plain, zoo.get_weights(full))
    x = np.random.default_rng(0).standard_normal((1, 3, 96, 96)).astype(np.float32)
    outputs = zoo.predict(full, x)
    assert list(outputs) == ["logits", "aux1", "aux2"]
    assert (
        np.abs(zoo.predict(plain, x) - outputs["logits"]).max()
        <= 1e-5 * np.abs(outputs["logits"]).max()
    )
    with pytest.raises(WeightsError, match=r"missing: aux1.conv.conv.weight"):
        zoo.set_weights(full, zoo.get_weights(plain))


def test_predict_sees_new_weights(small, x):
    before, weights = zoo.predict(small, x), zoo.get_weights(small)
    zoo.set_weights(small, {**weights, "fc3.bias": weights["fc3.bias"] + 1})
    assert np.allclose(zoo.predict(small, x), before + 1, atol=1e-4)
    zoo.set_weights(small, weights)
    assert np.array_equal(zoo.predict(small, x), before)


def test_predict_is_evaluation_and_restores_the_mode(small, x, backend):
    weights = zoo.get_weights(small)
    if backend in ("torch", "paddle", "flax"):
        small.train()
        small.stage2.eval()
    first = zoo.predict(small, x)
    assert np.array_equal(first, zoo.predict(small, x)), "dropout is off"
    assert np.abs(zoo.predict(small, x[:1]) - first[:1]).max() <= 1e-5 * np.abs(first).max(), (
        "each example is for itself: batch norm takes running statistics"
    )
    for name, value in zoo.get_weights(small).items():
        assert np.array_equal(value, weights[name]), "running statistics are left alone"
    if backend in ("torch", "paddle"):
        assert small.training
        assert small.dropout1.training
        assert not small.stage2.conv1.bn.training
    if backend == "flax":
        assert not small.dropout1.deterministic
        assert small.stage2.conv1.bn.use_running_average
        assert not small.stage1.conv1.bn.use_running_average
        small.train()


def test_predict_takes_any_numbers_and_leaves_them(small, x):
    reference = zoo.predict(small, x)
    assert reference.shape == (2, 7)
    assert np.array_equal(zoo.predict(small, x.astype(np.float64)), reference)
    strange = np.asfortranarray(x)[:, ::-1][:, ::-1]
    assert np.allclose(zoo.predict(small, strange), reference, atol=1e-5)
    x.flags.writeable = False
    zoo.predict(small, x)
    x.flags.writeable = True


def test_an_array_of_any_kind_has_its_values(small, x, backend):
    exact = np.round(x * 16).astype(np.float32) / 16  # the same numbers in bfloat16
    kinds = [exact.astype(kind) for kind in (">f4", ">f8", "bfloat16", np.longdouble)]
    expected = zoo.predict(small, exact)
    for same in (*kinds, np.ascontiguousarray(exact[::-1, ..., ::-1])[::-1, ..., ::-1]):
        assert np.array_equal(zoo.predict(small, same), expected), same.dtype
        assert np.array_equal(zoo.features(small, same, "fc3")["fc3"], expected), same.dtype
    integers = np.round(x * 16).clip(0).astype(np.float32)
    expected = zoo.predict(small, integers)
    for kind in ("u1", ">i2", ">u2", "u4", "u8"):
        assert np.array_equal(zoo.predict(small, integers.astype(kind)), expected), kind
    if backend != "onnx":
        logits, loss = expected.astype(">f4")[::-1], float(zoo.loss(small, expected[::-1], [3, 1]))
        for labels in (*(np.array([3, 1], kind) for kind in (">i8", "u2")), np.array([1, 3])[::-1]):
            assert float(zoo.loss(small, logits, labels)) == loss, labels.dtype
    weights = zoo.get_weights(small)
    zoo.set_weights(small, {name: value.astype(">f4") for name, value in weights.items()})
    assert all(np.array_equal(v, weights[n]) for n, v in zoo.get_weights(small).items())


def test_what_is_not_only_numbers_is_refused(small, x):
    with pytest.raises(InputError, match=r"masked; replace them first: x.filled\(0\)"):
        zoo.predict(small, np.ma.masked_array(x, x < 0))
    for other in (x.astype(object), x.astype("m8[s]"), x.astype([("a", "f4")]), x > 0):
        with pytest.raises(InputError, match=r"expected numbers \[N, C, H, W\], got"):
            zoo.predict(small, other)


@pytest.mark.parametrize("x", [[[1, 2], [3]], "a photograph", None], ids=str)
def test_what_is_no_array_is_refused(small, x):
    with pytest.raises(InputError, match=r"expected numbers \[N, C, H, W\]"):
        zoo.predict(small, x)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 3, 64, 32), (1, 4, 32, 32), (1, 32, 32, 3)])
def test_inputs_of_another_shape_are_refused(small, shape):
    with pytest.raises(InputError, match=r"expected numbers \[N, C, H, W\]|was built for inputs"):
        zoo.predict(small, np.zeros(shape, np.float32))
    with pytest.raises(InputError):
        zoo.features(small, np.zeros(shape, np.float32), "fc1")


def test_features_by_node_and_block(small, x):
    found = zoo.features(small, x, ["stage1", "stage1.pool", "stage5.conv2.relu", "flatten", "fc3"])
    assert list(found) == ["stage1", "stage1.pool", "stage5.conv2.relu", "flatten", "fc3"]
    assert found["stage1"].shape == (2, 8, 16, 16)
    assert np.array_equal(found["stage1"], found["stage1.pool"])
    assert np.allclose(found["fc3"], zoo.predict(small, x), atol=1e-5)
    with pytest.raises(UnknownNameError, match=r"no node or block 'stage9'. Did you mean 'stage"):
        zoo.features(small, x, "stage9")


def test_flattened_maps_come_in_chw_order(framework, backend):
    """At a size where a flattened map has more than one pixel."""
    model = zoo.build(VGG, backend, num_classes=3, input_size=(64, 96))
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 96)).astype(np.float32)
    found = zoo.features(model, x, ["stage5.pool", "flatten"])
    assert found["stage5.pool"].shape == (2, 12, 2, 3)
    assert np.array_equal(found["flatten"], found["stage5.pool"].reshape(2, -1))


@pytest.mark.frameworks
def test_the_native_call_refuses_another_size(small, backend, framework):
    shape = (1, 3, 64, 64) if backend in ("torch", "paddle") else (1, 64, 64, 3)
    array = np.zeros(shape, np.float32)
    if backend == "torch":
        import torch

        array = torch.from_numpy(array)
    elif backend == "paddle":
        import paddle

        array = paddle.to_tensor(array)
    with pytest.raises(ValueError, match=r"was built for inputs|expected shape|incompatible"):
        small(array)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_dtypes(dtype, framework, backend):
    model = zoo.build(VGG, backend, dtype=dtype)
    weights = zoo.get_weights(model)
    assert {value.dtype.name for value in weights.values()} == {dtype}
    zoo.set_weights(model, weights)
    for name, value in zoo.get_weights(model).items():
        assert value.tobytes() == weights[name].tobytes()


def test_a_model_that_zoo_did_not_build_is_refused():
    with pytest.raises(
        BackendError, match="expected a model of PyTorch, PaddlePaddle, Keras 3, Flax"
    ):
        zoo.get_weights(object())


def test_unknown_backends_and_missing_frameworks(monkeypatch):
    with pytest.raises(UnknownNameError, match=r"unknown backend 'torhc'. Did you mean 'torch'\?"):
        zoo.build("googlenet", "torhc")
    with pytest.raises(UnknownNameError, match="unknown backend 'mxnet'. Known: torch, paddle"):
        zoo.build("googlenet", "mxnet")


@pytest.mark.frameworks
def test_every_framework_trains_a_network_with_batch_norm(framework, backend):
    """One step of gradients in training mode reaches the first convolution."""
    model = zoo.build(VGG_BN, backend)
    x = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    before = zoo.get_weights(model)
    if backend == "torch":
        import torch

        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.from_numpy(x)).square().mean().backward()
        optimizer.step()
    elif backend == "paddle":
        import paddle

        optimizer = paddle.optimizer.SGD(0.1, parameters=model.parameters())
        model(paddle.to_tensor(x)).square().mean().backward()
        optimizer.step()
    elif backend == "keras":
        model.compile("sgd", loss="mse")
        model.fit(x.transpose(0, 2, 3, 1), np.zeros((4, 7)), batch_size=4, verbose=0)
    else:
        import jax
        from flax import nnx

        images = jax.numpy.asarray(x.transpose(0, 2, 3, 1))
        grads = nnx.jit(nnx.grad(lambda m: (m(images) ** 2).mean()))(model)
        new = jax.tree.map(lambda p, g: p - 0.1 * g, nnx.state(model, nnx.Param), grads)
        nnx.update(model, new)
    for name, value in zoo.get_weights(model).items():
        assert np.isfinite(value).all(), name
        if "conv.bias" not in name:  # whose gradient batch norm makes 0
            assert not np.array_equal(value, before[name]), name


def test_a_network_may_end_in_a_map_and_have_several_outputs(spec_file, framework, backend):
    layers = "a: {op: conv, out_channels: 2, kernel_size: 1}\nb: {op: relu}"
    header = "options: {input_size: 4}\noutputs: {logits: {from: b}, before: {from: a}}\n"
    path = spec_file(layers, header=header)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32)
    found = zoo.predict(zoo.build(path, backend), x)
    assert list(found) == ["logits", "before"]
    assert found["before"].shape == (2, 2, 4, 4)
    assert np.array_equal(found["logits"], np.maximum(found["before"], 0))


def test_an_empty_batch_is_refused(small):
    with pytest.raises(InputError, match="expected at least one example"):
        zoo.predict(small, np.zeros((0, 3, 32, 32), np.float32))


@pytest.mark.parametrize("photograph", ["a.jpg", np.zeros((32, 32, 3), np.uint8)])
def test_a_photograph_is_prepared_first(photograph, small):
    with pytest.raises(InputError, match=r"got .*; zoo.preprocess\(photograph, model\) returns"):
        zoo.predict(small, photograph)


def test_no_features_are_none(small, x):
    assert zoo.features(small, x, []) == {}
