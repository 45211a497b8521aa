"""Weights from framework to framework, through files and without: not a bit is different."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import BACKENDS
from damage import mutants
from loading import load
from photographs import photographs
from small import VGG_BN

import zoo
from zoo.api import conversion
from zoo.backend import registry
from zoo.data import images
from zoo.errors import BackendError, InputError, UnknownNameError, WeightsError, ZooError
from zoo.verification.conditioned_weights import conditioned

DTYPES = ("float32", "float64", "float16", "bfloat16")

SPEC = """
conv: {op: conv, out_channels: 6, kernel_size: 3, padding: 1}
depthwise: {op: conv, out_channels: 12, kernel_size: 3, groups: 6}
bn: {op: batch_norm}
relu: {op: relu}
pool: {op: max_pool, kernel_size: 2, stride: 2}
flatten: {op: flatten}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
aux1: {from: relu, when: $aux, layers: {flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
"""
HEADER = """
options: {num_classes: 5, input_size: [9, 7]}
classes: [ant, bee, cat, dog, eel]
preprocessing: {channels: bgr, range: 255, mean: [1, 2, 3], std: [4, 5, 6]}
outputs: {logits: {from: fc}, aux1: {from: aux1}}
"""


@pytest.fixture
def tiny(spec_file):
    return spec_file(SPEC, header=HEADER)


def values(graph, dtype, seed=0):
    """Random weights and statistics, with what floating point has of oddities."""
    rng = np.random.default_rng(seed)
    found = {p.name: rng.standard_normal(p.shape).astype(dtype) for p in graph.parameters}
    odd = np.array([np.inf, -np.inf, -0.0, 1e-7, np.nan]).astype(dtype)
    found["conv.weight"].ravel()[:5] = odd
    return found


def assert_same_bits(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_file_comes_back_bit_for_bit(dtype, tiny, framework, backend, tmp_path):
    graph = zoo.graph(tiny, aux=True)
    expected = values(graph, dtype)
    model = zoo.build(tiny, backend, aux=True, dtype=dtype)
    zoo.set_weights(model, expected)
    zoo.save(model, tmp_path / "w.safetensors")
    again = zoo.load(tmp_path / "w.safetensors", backend)
    assert type(again) is type(model)
    assert_same_bits(zoo.get_weights(again), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mapped_file_is_never_written_to(dtype, tiny, framework, backend, tmp_path):
    graph, path = zoo.graph(tiny), tmp_path / "w.safetensors"
    first, second = values(graph, dtype), values(graph, dtype, seed=1)
    model = zoo.build(tiny, backend, dtype=dtype)
    zoo.set_weights(model, first)
    zoo.save(model, path)
    saved = path.read_bytes()
    mapped = zoo.load(path, backend, mmap=True)
    assert_same_bits(zoo.get_weights(mapped), first)
    zoo.set_weights(mapped, second)
    assert path.read_bytes() == saved
    assert_same_bits(zoo.get_weights(mapped), second)
    again = zoo.load(path, backend, mmap=True)
    zoo.save(mapped, path)  # puts another file in the slot of the one that is mapped
    assert_same_bits(zoo.get_weights(again), first)
    assert_same_bits(zoo.get_weights(zoo.load(path, backend)), second)


@pytest.mark.parametrize("dtype", DTYPES)
def test_around_all_frameworks_bit_for_bit(dtype, tiny, tmp_path):
    names = ["torch", "paddle", "keras", "flax", "torch", "flax", "keras", "paddle", "torch"]
    for name in names[:4]:
        load(name)
    import jax

    jax.config.update("jax_enable_x64", True)
    graph = zoo.graph(tiny, aux=True)
    expected = values(graph, dtype)
    model = zoo.build(tiny, names[0], aux=True, dtype=dtype)
    zoo.set_weights(model, expected)
    for i, name in enumerate(names[1:]):
        if i % 2:
            model = zoo.convert(model, name)
        else:
            zoo.save(model, tmp_path / "w.safetensors")
            model = zoo.load(tmp_path / "w.safetensors", name)
        assert zoo.graph_of(model).options == graph.options
    assert_same_bits(zoo.get_weights(model), expected)


def conversions():
    """A small network into every framework; each GoogLeNet into one in turn, the rest slow."""
    for place, backend in enumerate(BACKENDS):
        yield pytest.param(VGG_BN, backend, id=f"{backend}-small_vgg_bn")
        for number, name in enumerate(
            ("googlenet", "googlenet_torchvision", "googlenet_paddle"), 1
        ):
            marks = [] if place == number else pytest.mark.slow
            yield pytest.param(name, backend, marks=marks, id=f"{backend}-{name}")


@pytest.mark.parametrize(("name", "backend"), list(conversions()), indirect=["backend"])
def test_a_converted_model_computes_the_same(name, framework, backend):
    options = {"aux": name != VGG_BN}
    load("torch")
    graph = zoo.graph(name, **options)
    x = photographs(1, graph.input_shape)
    weights, reference = conditioned(graph, x)
    model = zoo.build(name, "torch", **options)
    zoo.set_weights(model, weights)
    other = zoo.convert(model, backend)
    assert_same_bits(zoo.get_weights(other), weights)
    found = zoo.predict(other, x)
    found = found if isinstance(found, dict) else {"logits": found}
    for output, node in graph.output_nodes.items():
        scale = np.abs(reference[node.name]).max()
        assert np.abs(found[output] - reference[node.name]).max() < 2e-5 * scale


def test_nothing_is_drawn_where_weights_are_given(tiny, framework, backend, tmp_path, monkeypatch):
    zoo.save(zoo.build(tiny, backend), tmp_path / "w.safetensors")

    def drawn(*_, **__):
        raise AssertionError("a random number was drawn")

    monkeypatch.setattr("zoo.weights.initial._integers", drawn)
    with pytest.raises(AssertionError):
        zoo.build(tiny, backend)
    zoo.build(tiny, backend, weights=tmp_path / "w.safetensors")
    zoo.load(tmp_path / "w.safetensors", backend)


def test_what_goes_with_the_weights(tiny, framework, backend, tmp_path):
    """Class names and preprocessing are in the file; the spec need not be there any more."""
    zoo.save(zoo.build(tiny, backend), tmp_path / "w.safetensors")
    (tmp_path / "tiny.yaml").unlink()
    graph = zoo.graph_of(zoo.load(tmp_path / "w.safetensors", backend))
    assert graph.classes == ("ant", "bee", "cat", "dog", "eel")
    assert graph.preprocessing["channels"] == "bgr"
    image = np.zeros((20, 20, 3), np.uint8)
    image[..., 0] = 255  # red
    x = zoo.preprocess(image, graph)
    assert x.shape == (1, 3, 9, 7)
    assert x[0, :, 4, 3].tolist() == pytest.approx([-3 / 6, -2 / 5, 254 / 4])


def test_weights_without_their_heads(tiny, framework, backend, tmp_path):
    model = zoo.build(tiny, backend, aux=True)
    zoo.save(model, tmp_path / "w.safetensors")
    plain = zoo.load(tmp_path / "w.safetensors", backend, aux=False)
    expected = {n: v for n, v in zoo.get_weights(model).items() if not n.startswith("aux1.")}
    assert_same_bits(zoo.get_weights(plain), expected)
    zoo.save(plain, tmp_path / "w.safetensors")
    told = r"missing: aux1.fc.weight  5x420[\s\S]*\nThe weights lack auxiliary heads: aux1; build"
    with pytest.raises(WeightsError, match=told):
        zoo.load(tmp_path / "w.safetensors", backend, aux=True)
    with pytest.raises(WeightsError, match=told):
        zoo.set_weights(model, zoo.get_weights(plain))


def test_a_new_head(tiny, framework, backend, tmp_path):
    model = zoo.build(tiny, backend, seed=1)
    path = tmp_path / "w.safetensors"
    zoo.save(model, path)
    with pytest.raises(WeightsError) as caught:
        zoo.build(tiny, backend, num_classes=3, weights=path)
    assert str(caught.value).splitlines() == [
        "the weights of w.safetensors do not fit tiny:",
        "  wrong shape: fc.weight  expected 3x72, got 5x72",
        "  wrong shape: fc.bias  expected 3, got 5",
        "These belong to the classifier: num_classes=5 keeps it, head='new' replaces it.",
    ]
    new = zoo.build(tiny, backend, num_classes=3, weights=path, head="new", seed=2)
    found, old = zoo.get_weights(new), zoo.get_weights(model)
    drawn = zoo.get_weights(zoo.build(tiny, backend, num_classes=3, seed=2))
    for name, value in found.items():
        source = drawn if name.startswith("fc.") else old
        assert value.tobytes() == source[name].tobytes(), name
    # A new head of the same size is a new one all the same.
    same_size = zoo.get_weights(zoo.load(path, backend, head="new", seed=2))
    assert not np.array_equal(same_size["fc.weight"], old["fc.weight"])


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_another_number_of_channels(channels, tiny, framework, backend, tmp_path):
    model = zoo.build(tiny, backend, seed=1)
    path = tmp_path / "w.safetensors"
    zoo.save(model, path)
    if channels != 3:
        with pytest.raises(WeightsError, match="stem='adapt' sums or repeats them"):
            zoo.build(tiny, backend, in_channels=channels, weights=path)
    adapted = zoo.build(tiny, backend, in_channels=channels, weights=path, stem="adapt")
    kernel = zoo.get_weights(model)["conv.weight"]
    # timm's rule: summed for one; for others tiled, cut, and scaled by 3 / channels
    expected = kernel.sum(1, keepdims=True) if channels == 1 else (
        np.tile(kernel, (1, 2, 1, 1))[:, :channels] * np.float32(3 / channels)
    )  # fmt: skip
    assert zoo.get_weights(adapted)["conv.weight"] == pytest.approx(expected, rel=1e-6)
    gray = np.ones((1, channels, 9, 7), np.float32) / channels
    color = np.ones((1, 3, 9, 7), np.float32) / 3
    if channels in (1, 3):  # the same gray gives the same
        ones = np.ones_like(color) / channels * channels
        assert zoo.predict(adapted, gray * channels) == pytest.approx(
            zoo.predict(model, ones), rel=1e-3, abs=1e-5
        )


def test_damaged_files_give_an_error_and_no_model(tiny, framework, backend, tmp_path):
    path = tmp_path / "w.safetensors"
    zoo.save(zoo.build(tiny, backend), path)
    for damaged in mutants(path.read_bytes(), 60, seed=3):
        path.write_bytes(damaged)
        for mmap in (False, True):
            with pytest.raises(ZooError):
                zoo.load(path, backend, mmap=mmap)
        with pytest.raises(ZooError):
            zoo.build(tiny, backend, weights=path)


def test_a_network_that_computes_something_else(framework, backend, tmp_path, spec_file):
    path = tmp_path / "w.safetensors"
    zoo.save(zoo.build(spec_file(SPEC, header=HEADER), backend), path)
    other = SPEC.replace("op: max_pool", "op: avg_pool")
    with pytest.raises(WeightsError, match="computes something else than tiny at 1 node: pool"):
        zoo.build(spec_file(other, header=HEADER, file="b.yaml"), backend, weights=path)
    # What only training sees may be different.
    trained = SPEC.replace("dropout: {op: dropout, rate: 0.5}\n", "")
    zoo.build(spec_file(trained, header=HEADER, file="c.yaml"), backend, weights=path)


def test_a_model_whose_layers_were_replaced(tmp_path):
    load("torch")
    import torch

    model = zoo.build(VGG_BN, "torch")
    model.fc3 = torch.nn.Linear(10, 7)
    with pytest.raises(WeightsError, match=r"wrong shape: fc3.weight  expected 7x24, got 7x10"):
        zoo.save(model, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"wrong shape: fc3.weight"):
        zoo.convert(model, "torch")
    assert not list(tmp_path.iterdir())
    with pytest.raises(BackendError, match="does not know its graph"):
        zoo.save(torch.nn.Linear(2, 2), tmp_path / "w.safetensors")


def test_words_that_are_wrong(tiny, framework, backend, tmp_path):
    path = tmp_path / "w.safetensors"
    zoo.save(zoo.build(tiny, backend), path)
    for options, message in (
        ({"head": "old"}, "head must be None or 'new', got 'old'"),
        ({"stem": "new"}, "stem must be None or 'adapt', got 'new'"),
        ({"dtype": "float8"}, "unknown dtype 'float8'"),
    ):
        with pytest.raises(ZooError, match=message):
            zoo.build(tiny, backend, weights=path, **options)
        with pytest.raises(ZooError, match=message):
            zoo.load(path, backend, **options)
    with pytest.raises(InputError, match="head, stem and entry require pretrained weights"):
        zoo.build(tiny, backend, head="new")
    with pytest.raises(UnknownNameError, match="Did you mean 'torchvision'"):
        zoo.build("googlenet_torchvision", backend, weights="torchvison")
    with pytest.raises(WeightsError, match="no such file"):
        zoo.load(tmp_path / "none.safetensors", backend)
    with pytest.raises(
        InputError, match="weights must be the path of a file or a source of weights, got 3"
    ):
        zoo.load(3, backend)


NATIVE = {
    "torch": "m.load_state_dict(torch.load(path, weights_only=True))",
    "paddle": "assert m.set_state_dict(paddle.load(path)) == ([], [])",
    "keras": "m = keras.saving.load_model(path)",
    "flax": "nnx.update(m, nnx.State(nnx.restore_int_paths(serialization.msgpack_restore(pathlib.Path(path).read_bytes()))))",
}


@pytest.mark.frameworks
def test_what_a_framework_itself_saves(tiny, framework, backend, tmp_path):
    """zoo convert writes each framework's own form, which that framework reads."""
    source = zoo.build(tiny, backend, seed=5)
    zoo.save(source, tmp_path / "w.safetensors")
    path = tmp_path / f"w{registry.resolve(backend).suffix}"
    conversion.convert_file(str(tmp_path / "w.safetensors"), path)
    scope = {"m": zoo.build(tiny, backend, seed=6), "path": str(path)}
    imports = {
        "torch": "import torch",
        "paddle": "import paddle",
        "keras": "import keras",
        "flax": "import pathlib\nfrom flax import nnx, serialization",
    }
    exec(f"{imports[backend]}\n{NATIVE[backend]}", scope)
    assert_same_bits(zoo.get_weights(scope["m"]), zoo.get_weights(source))


def test_pytorchs_files_hold_tensors_alone(tmp_path):
    load("torch")
    import torch

    model = zoo.build(VGG_BN, "torch")
    torch.save(model, tmp_path / "whole.pth")
    with pytest.raises(
        WeightsError, match=r"zoo does not run code from a file; save the model's state_dict"
    ):
        zoo.load(tmp_path / "whole.pth", "torch")


def test_the_command_line(tiny, tmp_path, command):
    load("torch")
    weights, photo = tmp_path / "w.safetensors", images.default()
    zoo.save(zoo.build(tiny, "torch"), weights)
    status, told, _ = command("convert", weights, tmp_path / "w.pth")
    assert status == 0
    assert "tiny: 10 arrays of float32" in told
    status, told, _ = command("predict", photo, "--weights", weights, "--backend", "torch")
    assert status == 0
    assert {"ant", "bee", "cat", "dog", "eel"} <= set(told.split())
    for wrong, message in (
        (["convert", weights, tmp_path / "w.npz"], "one of .safetensors, .pth"),
        (["convert", tmp_path / "none.pth", weights], "no such file"),
        (["convert", "torchvision", weights], "choose one with --model NAME"),
        (["convert", weights, tmp_path / "no" / "w.pth"], "there is no folder"),
        (["predict", photo, "--weights", tmp_path / "w.npz"], "expected a file of weights"),
    ):
        status, _, told = command(*wrong)
        assert status == 2
        assert message in told.replace("\n", " ")


def test_values_that_are_too_large_for_float16_are_refused(tiny, framework, backend, tmp_path):
    large = zoo.build(tiny, backend)
    weights = zoo.get_weights(large)
    weights["fc.bias"] = np.full_like(weights["fc.bias"], 1e5)
    zoo.set_weights(large, weights)
    zoo.save(large, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="fc.bias has values that are too large for float16"):
        zoo.build(tiny, backend, weights=tmp_path / "w.safetensors", dtype="float16")
    half = zoo.build(tiny, backend, dtype="float16")
    before = zoo.get_weights(half)
    with pytest.raises(WeightsError, match="fc.bias has values that are too large for float16"):
        zoo.set_weights(half, weights)
    assert_same_bits(zoo.get_weights(half), before)
    zoo.build(tiny, backend, weights=tmp_path / "w.safetensors", dtype="bfloat16")
