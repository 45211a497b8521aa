"""Models of which a user has exchanged, altered or set a layer."""

from __future__ import annotations

import importlib
from types import MethodType

import numpy as np
import pytest
from few_layers import model as model
from few_layers import spec as spec

import zoo
from zoo.errors import BackendError, WeightsError, ZooError


def _exchange(model, backend, classes):
    """Give a model a classifier of another size, as users do."""
    if backend == "torch":
        from torch import nn

        model.fc = nn.Linear(64, classes)
    elif backend == "paddle":
        from paddle import nn

        model.fc = nn.Linear(64, classes)
    else:
        from flax import nnx

        model.fc = nnx.Linear(64, classes, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_an_exchanged_classifier_is_a_model_with_that_many_classes(model, backend, tmp_path):
    _exchange(model, backend, 7)
    graph = zoo.graph_of(model)
    assert graph.options["num_classes"] == 7
    assert graph.node("fc").shape == (7,)
    x = np.random.default_rng(0).random((2, 2, 6, 6), np.float32)
    expected = zoo.predict(model, x)
    zoo.save(model, tmp_path / "w.safetensors")
    for again in (zoo.load(tmp_path / "w.safetensors", backend), zoo.convert(model, backend)):
        assert np.allclose(zoo.predict(again, x), expected, atol=1e-6)


def _other_layer(model, backend):
    if backend == "torch":
        from torch import nn

        model.fc = nn.Sequential(nn.Dropout(), nn.Linear(64, 5))
    elif backend == "paddle":
        from paddle import nn

        model.fc = nn.Sequential(nn.Dropout(), nn.Linear(64, 5))
    else:
        from flax import nnx

        model.fc = nnx.Sequential(nnx.relu, nnx.Linear(64, 5, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_a_layer_of_another_kind_is_refused_by_name(model, backend, tmp_path):
    _other_layer(model, backend)
    for verb in (
        lambda: zoo.convert(model, backend),
        lambda: zoo.save(model, tmp_path / "w.safetensors"),
    ):
        with pytest.raises(ZooError, match="'fc' .*is a Sequential") as refused:
            verb()
    assert not list(tmp_path.iterdir())
    hint = "a spec of your own" if backend == "flax" else "save the model's state_dict(): zoo.load"
    assert hint in str(refused.value)
    assert "zoo.reset_head(model, 0)" in str(refused.value)


@pytest.mark.parametrize(
    ("backend", "kind"),
    [("torch", "a GELU"), ("paddle", "a GELU"), ("flax", "a function")],
    indirect=["backend"],
)
def test_another_activation_is_refused_by_name(model, backend, kind):
    """It has no weights, so only the kind of the layer tells."""
    if backend == "flax":
        model.relu = importlib.import_module("jax").nn.gelu
    else:
        model.relu = importlib.import_module(backend).nn.GELU()
    with pytest.raises(WeightsError, match=f"'relu' of this small is {kind}, not the"):
        zoo.convert(model, backend)


def _without_bias(model, backend):
    """Give a model a classifier that has no bias, which zoo's has."""
    nn = importlib.import_module(f"{backend}.nn")
    model.fc = nn.Linear(
        64, 5, **{"torch": {"bias": False}, "paddle": {"bias_attr": False}}[backend]
    )


def _without_statistics(model, backend):
    importlib.import_module("torch.func").replace_all_batch_norm_modules_(model)


@pytest.mark.parametrize(
    ("backend", "change", "missing"),
    [
        ("torch", _without_bias, "fc.bias"),
        ("paddle", _without_bias, "fc.bias"),
        ("torch", _without_statistics, "bn.running_mean"),
    ],
    indirect=["backend"],
)
def test_a_layer_that_lacks_a_parameter_is_refused(model, backend, change, missing, tmp_path):
    change(model, backend)
    for verb in (
        lambda: zoo.graph_of(model),
        lambda: zoo.save(model, tmp_path / "w.safetensors"),
        lambda: zoo.convert(model, backend),
    ):
        with pytest.raises(WeightsError, match=rf"missing: {missing}[\s\S]*a bias of zeros"):
            verb()
    if missing == "fc.bias":
        with pytest.raises(WeightsError, match=r"has no fc\.bias: a layer was replaced"):
            zoo.optimizer(model, "sgd", 0.1)


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_a_number_as_a_parameter_is_refused(model, backend, tmp_path):
    if backend == "torch":
        torch = importlib.import_module("torch")
        model.fc.bias = torch.nn.Parameter(torch.tensor(0.0))
    elif backend == "paddle":
        model.fc.bias = importlib.import_module("paddle").create_parameter([], "float32")
    else:
        jax, nnx = map(importlib.import_module, ("jax", "flax.nnx"))
        model.fc.bias = nnx.Param(jax.numpy.zeros(()))
    for verb in (
        lambda: zoo.graph_of(model),
        lambda: zoo.save(model, tmp_path / "w.safetensors"),
        lambda: zoo.reset_head(model, 3),
    ):
        with pytest.raises(WeightsError, match=r"wrong shape: fc\.bias"):
            verb()


@pytest.mark.parametrize("backend", ["torch", "paddle"], indirect=True)
def test_a_layer_in_the_place_of_a_block_is_refused_by_its_own_name(framework, backend):
    nn = importlib.import_module(f"{backend}.nn")
    model = zoo.build("resnet20", backend)
    model.conv1 = (nn.Conv2d if backend == "torch" else nn.Conv2D)(3, 16, 3, 1, 1)
    with pytest.raises(
        WeightsError, match="'conv1' of this resnet20 is a Conv2[dD], not the block"
    ):
        zoo.graph_of(model)
    model = zoo.build("resnet20", backend)
    del model.layer1.block1.conv1.relu
    with pytest.raises(
        WeightsError, match=r"'layer1\.block1\.conv1\.relu' of .* is no module, not"
    ):
        zoo.graph_of(model)


def _observe(model):
    quantization = importlib.import_module("torch.ao.quantization")
    model.eval().qconfig = quantization.get_default_qconfig("fbgemm")
    quantization.prepare(model, inplace=True)


def _observe_in_paddle(model):
    quantization = importlib.import_module("paddle.quantization")
    observer = importlib.import_module("paddle.quantization.observers").AbsmaxObserver()
    config = quantization.QuantConfig(activation=observer, weight=observer)
    model.eval()
    quantization.PTQ(config).quantize(model, inplace=True)


def _altered_in_torch():
    import torch
    from torch import nn
    from torch.nn.utils import parametrizations, prune

    yield "pruned", lambda m: prune.l1_unstructured(m.conv, "weight", 0.5)
    yield "normalized", lambda m: torch.nn.utils.weight_norm(m.conv)
    yield "normalized", lambda m: torch.nn.utils.spectral_norm(m.conv)
    yield "parametrized", lambda m: parametrizations.weight_norm(m.conv)
    yield "prepared for quantization", _observe
    yield "sparse", lambda m: setattr(m.fc, "weight", nn.Parameter(m.fc.weight.data.to_sparse()))
    yield "no size and no value yet", lambda m: setattr(m, "fc", nn.LazyLinear(5))
    yield (
        "quantized",
        lambda m: torch.ao.quantization.quantize_dynamic(m, {nn.Linear}, inplace=True),
    )


def _altered_in_paddle():
    from paddle import nn

    yield "normalized", lambda m: nn.utils.weight_norm(m.conv)
    yield "normalized", lambda m: nn.utils.spectral_norm(m.conv)
    yield "quantized", _observe_in_paddle


def _altered_in_keras():
    yield "quantized", lambda m: m.quantize("int8")
    yield "renamed", lambda m: setattr(m.get_layer("fc"), "name", "head")
    yield (
        r"has an adapter; model\.save\('w\.keras'\) merges it",
        lambda m: m.get_layer("fc").enable_lora(2),
    )


def _altered_in_flax():
    from flax import nnx

    rngs = nnx.Rngs(0)
    yield (
        "is a LoRALinear",
        lambda m: setattr(m, "fc", nnx.LoRALinear(64, 5, lora_rank=2, rngs=rngs)),
    )
    yield (
        "a bias of zeros",
        lambda m: setattr(m, "fc", nnx.Linear(64, 5, use_bias=False, rngs=rngs)),
    )
    yield (
        "that zoo did not build: extra.bias",
        lambda m: setattr(m, "extra", nnx.LayerNorm(2, rngs=rngs)),
    )
    yield "has no layer", lambda m: delattr(m, "fc")
    yield "is a custom_jvp", lambda m: setattr(m, "fc", nnx.relu)
    yield "is a WeightNorm", lambda m: setattr(m, "conv", nnx.WeightNorm(m.conv, rngs=rngs))


ALTERED = {
    "torch": _altered_in_torch,
    "paddle": _altered_in_paddle,
    "keras": _altered_in_keras,
    "flax": _altered_in_flax,
}


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")  # the frameworks warn of what they do to layers
def test_a_layer_whose_weights_are_made_of_others_is_refused_by_name(
    spec, framework, backend, tmp_path
):
    for what, alter in ALTERED[backend]():
        model = zoo.build(spec, backend)
        alter(model)
        for verb in (
            lambda model=model: zoo.convert(model, backend),
            lambda model=model: zoo.save(model, tmp_path / "w.safetensors"),
            lambda model=model: zoo.get_weights(model),
        ):
            with pytest.raises((BackendError, WeightsError), match=what):
                verb()
    assert not list(tmp_path.iterdir())


HEADS = """
conv: {op: conv, out_channels: 4, kernel_size: 3}
pool: {op: global_avg_pool}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
aux1: {from: conv, when: $aux, layers: {pool: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
"""


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_a_model_without_one_of_its_heads(framework, backend, spec_file):
    header = (
        "options: {num_classes: 5, input_size: 6}\n"
        "outputs: {logits: {from: fc}, aux1: {from: aux1, loss_weight: 0.3}}\n"
    )
    model = zoo.build(spec_file(HEADS, header=header), backend, aux=True)
    head, model.aux1 = model.aux1, None
    with pytest.raises(ZooError, match=r"aux=False\) makes a model without heads|'aux1.fc'"):
        zoo.graph_of(model)
    model.aux1 = head
    nn = importlib.import_module("flax.nnx" if backend == "flax" else f"{backend}.nn")
    model.fc = nn.Linear(4, 7, **({"rngs": nn.Rngs(0)} if backend == "flax" else {}))
    with pytest.raises(ZooError, match=r"zoo.reset_head\(model, num_classes\) returns a model"):
        zoo.graph_of(model)


CHAIN = """
conv1: {op: conv, out_channels: 4, kernel_size: 3, padding: 1}
relu1: {op: relu}
conv2: {op: conv, out_channels: 4, kernel_size: 3, padding: 1}
relu2: {op: relu}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_a_layer_in_two_places_runs_twice(framework, backend, spec_file):
    header = "options: {num_classes: 5, in_channels: 4, input_size: 6}\n"
    model = zoo.build(spec_file(CHAIN, header=header), backend)
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 6), np.float32)
    expected = zoo.predict(model, x)
    model.relu2 = model.relu1
    assert np.array_equal(zoo.predict(model, x), expected)
    model.conv2 = model.conv1
    other = zoo.get_weights(zoo.build(zoo.graph_of(model), backend, seed=1))
    with pytest.raises(WeightsError, match="conv1.weight and conv2.weight are one tensor in this"):
        zoo.set_weights(model, other)
    tied = zoo.convert(model, backend)
    assert np.allclose(zoo.predict(model, x), zoo.predict(tied, x), atol=1e-6)
    assert not np.allclose(zoo.predict(model, x), expected, atol=1e-3)


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_what_a_user_hangs_on_a_model_is_not_computed(model, backend):
    x = np.random.default_rng(0).random((2, 2, 6, 6), np.float32)
    expected = zoo.predict(model, x)
    nn = importlib.import_module("flax.nnx" if backend == "flax" else f"{backend}.nn")
    if backend == "flax":
        model.extra = nn.Dropout(0.5)
    else:
        model.extra, model.criterion = nn.Softmax(1), nn.CrossEntropyLoss()
    assert np.array_equal(zoo.predict(model, x), expected)
    assert np.array_equal(zoo.predict(zoo.convert(model, backend), x), expected)
    rngs = {"rngs": nn.Rngs(0)} if backend == "flax" else {}
    model.extra = nn.Linear(3, 3, **rngs)
    with pytest.raises(ZooError, match="extra.(bias|weight)"):
        zoo.convert(model, backend)


@pytest.mark.parametrize("backend", ["torch", "paddle", "keras"], indirect=True)
@pytest.mark.parametrize("part", ["the model", "'fc'"])
def test_a_method_that_was_replaced_is_refused(model, backend, part):
    """As tutorials do, to get features: zoo would convert what the model does not compute."""
    name = "call" if backend == "keras" else "forward"
    module = model
    if part != "the model":
        module = model.get_layer("fc") if backend == "keras" else model.fc
    setattr(module, name, lambda x: x)
    for verb in (zoo.graph_of, lambda model: zoo.convert(model, "onnx")):
        with pytest.raises(WeightsError, match=rf"^{name} of {part} in this .* was replaced"):
            verb(model)
    delattr(module, name)
    assert zoo.graph_of(model)


@pytest.mark.parametrize("backend", ["torch", "paddle"], indirect=True)
def test_a_method_in_a_decorator_is_the_same_network(model, backend):
    """As accelerate casts what a model computes with, and to_static compiles it."""
    if backend == "torch":
        import torch

        model.forward = MethodType(torch.autocast("cpu")(type(model).forward), model)
    else:
        import paddle

        assert paddle.jit.to_static(model) is model
    assert "forward" in vars(model)
    assert zoo.graph_of(model)
