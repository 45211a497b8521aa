"""What a framework itself saves of zoo's models is read back, by every framework, bit for bit."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest
from conftest import FRAMEWORKS
from loading import load

import zoo
from zoo.api import conversion
from zoo.backend import registry
from zoo.errors import WeightsError

pytestmark = pytest.mark.frameworks

#: Linear layers that are square, depthwise convolutions, and every operation with parameters.
SPEC = """
conv: {op: conv, out_channels: 6, kernel_size: 3, padding: 1, bias: false}
bn: {op: batch_norm, scale: false}
block: {layers: {depthwise: {op: conv, out_channels: 12, kernel_size: 3, groups: 6}, bn: {op: batch_norm}}}
norm: {op: layer_norm}
affine: {op: affine}
flatten: {op: flatten}
fc1: {op: linear, out_features: 420}
dropout: {op: dropout, rate: 0.5}
fc2: {op: linear, out_features: $num_classes}
aux1: {from: bn, when: $aux, layers: {flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
"""
HEADER = """
options: {num_classes: 5, input_size: [9, 7]}
outputs: {logits: {from: fc2}, aux1: {from: aux1}}
"""


@pytest.fixture
def tiny(spec_file):
    return spec_file(SPEC, header=HEADER)


def next_to(backend):
    """Another framework, in turn."""
    other = FRAMEWORKS[(FRAMEWORKS.index(backend) + 1) % len(FRAMEWORKS)]
    load(other)
    return other


def random_model(name, backend, **options):
    model = zoo.build(name, backend, **options)
    rng = np.random.default_rng(3)
    weights = zoo.get_weights(model)
    zoo.set_weights(model, {n: rng.random(a.shape).astype(a.dtype) for n, a in weights.items()})
    return model


def saved(model, backend, folder):
    """Every file that a framework makes of a model by its own means, and zoo's conversions."""
    match backend:
        case "torch":
            import torch
            from safetensors.torch import save_file

            torch.save(model.state_dict(), folder / "own.pth")
            torch.save(model.state_dict(), folder / "old.pt", _use_new_zipfile_serialization=False)
            save_file(model.state_dict(), folder / "own.safetensors")
        case "paddle":
            import paddle
            from safetensors.paddle import save_file

            paddle.save(model.state_dict(), str(folder / "own.pdparams"))
            save_file(dict(model.state_dict()), folder / "own.safetensors")
        case "keras":
            import keras

            model.save_weights(folder / "own.weights.h5")
            model.save(folder / "own.keras")
            with contextlib.redirect_stderr(None), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the old format
                model.save(folder / "own.h5")
                if len(model.outputs) == 1:  # a Sequential takes no other
                    nested = keras.Sequential([keras.Input(model.input_shape[1:]), model])
                    nested.save(folder / "nested.h5")
                    nested.save(folder / "nested.keras")
        case "flax":
            from flax import nnx, serialization
            from flax.traverse_util import flatten_dict
            from safetensors.flax import save_file

            state = nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
            (folder / "own.msgpack").write_bytes(serialization.msgpack_serialize(state))
            (folder / "bytes.msgpack").write_bytes(serialization.to_bytes(state))
            save_file(flatten_dict(state, sep="."), folder / "own.safetensors")
    files = sorted(folder.glob("*.*"))
    zoo.save(model, folder / "zoo.safetensors")
    converted = folder / f"converted{registry.resolve(backend).suffix}"
    conversion.convert_file(str(folder / "zoo.safetensors"), converted)
    return [*files, converted]


def assert_same(model, other, path):
    found, expected = zoo.get_weights(model), zoo.get_weights(other)
    assert list(found) == list(expected), path.name
    for name, value in expected.items():
        assert found[name].tobytes() == value.tobytes(), (path.name, name)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "files"
    path.mkdir()
    return path


@pytest.mark.parametrize("aux", [True, False])
def test_build_takes_every_file_of_a_users_spec(aux, tiny, framework, backend, folder):
    model, other = random_model(tiny, backend, aux=aux), next_to(backend)
    for path in saved(model, backend, folder):
        again = zoo.build(tiny, other, aux=aux, weights=path)
        assert_same(again, model, path)
        origin = zoo.graph_of(again).origin
        assert origin["names"] == "as zoo's" and "license" not in origin
        plain = zoo.build(tiny, backend, weights=path)
        assert set(zoo.get_weights(plain)) <= set(zoo.get_weights(model))


def test_load_knows_the_network(framework, backend, folder):
    model, other = random_model("resnet20", backend, num_classes=7), next_to(backend)
    for path in saved(model, backend, folder):
        again = zoo.load(path, other)
        assert zoo.graph_of(again).name == "resnet20"
        assert zoo.graph_of(again).options["num_classes"] == 7
        assert_same(again, model, path)


def test_variants_of_a_network_are_not_guessed(folder):
    """lenet5 and lenet5_mnist have the same names and shapes, and compute different things."""
    load("torch")
    import torch

    state = random_model("lenet5", "torch").state_dict()
    variants = {"lenet5", "lenet5_mnist"}
    for name, network in (
        ("lenet5.pth", "lenet5"),
        ("LeNet5-best.pth.tar", "lenet5"),
        ("lenet5_mnist.pth", "lenet5_mnist"),
        ("lenet5_mnist-epoch3.pth", "lenet5_mnist"),
        ("lenet5_mnist (1).pth", "lenet5_mnist"),
        ("lenet5_mnist2.pth", None),
        ("lenet5_best.pth", None),
        ("own.pth", None),
        ("my_lenet5.pth", None),
    ):
        torch.save(state, folder / name)
        if network:
            graph = zoo.graph_of(zoo.load(folder / name, "torch"))
            (other,) = variants - {network}
            assert graph.name == network
            assert graph.origin["note"] == f"{network} by the name of the file, not {other}"
        else:
            with pytest.raises(WeightsError, match=r"of lenet5 and of lenet5_mnist.*zoo\.build\("):
                zoo.load(folder / name, "torch")
            with pytest.raises(WeightsError, match=r"zoo.build\('lenet5', ..., weights=path\)"):
                conversion.convert_file(str(folder / name), folder / "w.safetensors")
        for named in variants:
            graph = zoo.graph_of(zoo.build(named, "torch", weights=folder / name))
            assert (graph.name, "note" in graph.origin) == (named, False)
    zoo.save(
        zoo.build("lenet5_mnist", "torch", weights=folder / "own.pth"), folder / "z.safetensors"
    )
    assert zoo.graph_of(zoo.load(folder / "z.safetensors", "torch")).name == "lenet5_mnist"


def test_variants_with_another_classifier_are_not_guessed(folder):
    load("torch")
    import torch

    state = random_model("lenet5_modern", "torch").state_dict()
    last = list(state)[-2:]
    torch.save({n: v for n, v in state.items() if n not in last}, folder / "own.pth")
    with pytest.raises(WeightsError, match=r"of lenet5_modern and of lenet5_d2l"):
        zoo.load(folder / "own.pth", "torch", head="new")
    zoo.build("lenet5_d2l", "torch", weights=folder / "own.pth", head="new")


def test_another_network_is_refused(folder, tiny, spec_file):
    load("torch")
    import torch

    torch.save(zoo.build("resnet20", "torch").state_dict(), folder / "w.pth")
    with pytest.raises(WeightsError, match="has zoo's names of resnet20, which is not the network"):
        zoo.build("resnet32", "torch", weights=folder / "w.pth")
    torch.save(zoo.build(tiny, "torch").state_dict(), folder / "w.pth")
    with pytest.raises(WeightsError, match="of any network as published by .*, nor zoo's own"):
        zoo.load(folder / "w.pth", "torch")
    other = spec_file(SPEC.replace("420", "42"), header=HEADER, file="b.yaml")
    with pytest.raises(
        WeightsError, match=r"wrong shape: fc1.weight  expected 42x420, got 420x420"
    ):
        zoo.build(other, "torch", weights=folder / "w.pth")


def states(model, backend):
    """What a framework has of a model without a file."""
    match backend:
        case "torch":
            import torch

            yield model.state_dict()
            yield {**dict(model.named_parameters()), **dict(model.named_buffers())}
            yield torch.nn.DataParallel(model).state_dict()
        case "paddle":
            yield model.state_dict()
        case "keras":
            yield {
                f"{layer.name}.{variable.name}": variable
                for layer in model.layers
                for variable in layer.variables
            }
        case "flax":
            from flax import nnx

            yield nnx.to_pure_dict(nnx.state(model))  # also that of random generators
            yield nnx.state(model)
            yield nnx.to_pure_dict(nnx.state(model, (nnx.Param, nnx.BatchStat)))
            pure = {
                key: nnx.to_pure_dict(nnx.state(model, kind))
                for key, kind in (("params", nnx.Param), ("batch_stats", nnx.BatchStat))
            }
            yield pure
            yield {"step": 3, "opt_state": {"mu": pure["params"]}, **pure}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_set_weights_takes_the_state_of_any_framework(dtype, tiny, framework, backend, tmp_path):
    model = random_model(tiny, backend, aux=True, dtype=dtype)
    target = zoo.build(tiny, next_to(backend), dtype=dtype, seed=1)
    expected = {n: a for n, a in zoo.get_weights(model).items() if not n.startswith("aux1.")}
    for state in states(model, backend):
        zoo.set_weights(target, {n: a * 0 for n, a in zoo.get_weights(target).items()})
        zoo.set_weights(target, state)
        for name, value in zoo.get_weights(target).items():
            assert value.tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize("form", ["backend_tensor", "numpy_array"])
def test_set_weights_takes_the_state_tree_of_keras(tiny, form):
    load("keras")
    model, target = (zoo.build(tiny, "keras", seed=seed) for seed in (0, 1))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    tree = model.get_state_tree(form)
    zoo.set_weights(target, tree)
    for name, value in zoo.get_weights(target).items():
        assert np.array_equal(value, zoo.get_weights(model)[name]), name
    with pytest.raises(WeightsError, match=r"missing: bn\.running_mean"):
        zoo.set_weights(target, {"trainable_variables": tree["trainable_variables"]})


@pytest.mark.parametrize("backend", ["torch", "flax"], indirect=True)
def test_a_state_of_parameters_alone_lacks_running_statistics(tiny, framework, backend):
    model = random_model(tiny, backend)
    if backend == "torch":
        state = dict(model.named_parameters())
    else:
        from flax import nnx

        state = nnx.state(model, nnx.Param)
    with pytest.raises(
        WeightsError, match=r"missing: bn.running_mean  6\n[^.]*bn.running_var"
    ) as e:
        zoo.set_weights(model, state)
    assert "unexpected" not in str(e.value)
    assert "Only running statistics are missing" in str(e.value)


def test_set_weights_refuses_a_state_that_does_not_fit(tiny, framework, backend):
    model = random_model(tiny, backend)
    before = zoo.get_weights(model)
    state = next(iter(states(model, backend)))
    first = next(iter(state))
    with pytest.raises(WeightsError, match="missing: "):
        zoo.set_weights(model, {name: value for name, value in state.items() if name != first})
    for name, value in zoo.get_weights(model).items():
        assert value.tobytes() == before[name].tobytes()
