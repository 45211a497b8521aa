"""Models inside what frameworks put around them, and models with other layers in them."""

from __future__ import annotations

import importlib
import textwrap

import numpy as np
import pytest

import zoo
from zoo.errors import BackendError, WeightsError, ZooError
from zoo.testing import assert_same

LAYERS = """
conv: {op: conv, out_channels: 4, kernel_size: 3}
bn: {op: batch_norm}
relu: {op: relu}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "small.yaml"
    header = "format: 1\nname: small\noptions: {num_classes: 5, in_channels: 2, input_size: 6}\n"
    path.write_text(header + "layers:\n" + textwrap.indent(LAYERS.strip(), "  ") + "\n")
    return path


@pytest.fixture
def model(spec, framework, backend):
    return zoo.build(spec, backend)


def _torch(model):
    import torch
    from torch.optim.swa_utils import AveragedModel

    nn = torch.nn
    yield "compiled", torch.compile(model, backend="eager")
    yield "parallel", nn.DataParallel(model)
    yield "averaged", AveragedModel(model)
    yield "compiled and parallel", torch.compile(nn.DataParallel(model), backend="eager")
    yield "parallel and compiled", nn.DataParallel(torch.compile(model, backend="eager"))
    yield "a subclass of a wrapper", type("Mine", (nn.DataParallel,), {})(model)


def _paddle(model):
    import paddle

    yield "training", paddle.Model(model)
    yield "static", paddle.jit.to_static(model)


def _keras(model):
    import keras

    shape = model.input_shape[1:]
    inputs = keras.Input(shape)
    yield "functional", keras.Model(inputs, model(inputs))
    yield "sequential", keras.Sequential([model])
    yield "with an input", keras.Sequential([keras.Input(shape), model])
    yield "twice", keras.Sequential([keras.Sequential([model])])


def _flax(model):
    import optax
    from flax import nnx

    yield "jitted", nnx.jit(model)
    yield "rematerialised", nnx.remat(model)
    yield "vmapped", nnx.vmap(model)
    yield "twice", nnx.jit(nnx.remat(model))
    yield "training", nnx.ModelAndOptimizer(model, optax.sgd(0.1))


WRAPPERS = {"torch": _torch, "paddle": _paddle, "keras": _keras, "flax": _flax}


def test_every_verb_finds_the_model_in_a_wrapper(model, backend, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.random((2, 2, 6, 6), np.float32)
    weights = zoo.get_weights(model)
    logits = zoo.predict(model, x)
    for name, wrapped in WRAPPERS[backend](model):
        found = zoo.get_weights(wrapped)
        assert list(found) == list(weights), name
        assert all(np.array_equal(found[key], weights[key]) for key in found), name
        assert np.array_equal(zoo.predict(wrapped, x), logits), name
        assert zoo.features(wrapped, x, "relu")["relu"].shape == (2, 4, 4, 4), name
        assert zoo.graph_of(wrapped) == zoo.graph_of(model), name
        assert zoo.summary(wrapped).num_parameters == zoo.graph_of(model).num_parameters, name
        assert np.isfinite(float(zoo.loss(wrapped, logits, np.array([1, 2])))), name
        zoo.save(wrapped, tmp_path / "w.safetensors")
        assert zoo.get_weights(zoo.load(tmp_path / "w.safetensors", backend)).keys() == found.keys()
        assert np.allclose(zoo.predict(zoo.convert(wrapped, backend), x), logits, atol=1e-6), name
        assert_same(wrapped, zoo.graph_of(model), x)
        # A wrapper that copies its model, such as an average, has weights of its own.
        zoo.set_weights(wrapped, {key: value + 1 for key, value in found.items()})
        assert np.array_equal(zoo.get_weights(wrapped)["fc.bias"], weights["fc.bias"] + 1), name
        zoo.set_weights(wrapped, weights)


def _parts(model, backend):
    """Models of the user's own with one of zoo's as a part, and its path."""
    if backend == "torch":
        from torch import nn

        return nn.Sequential(model, nn.ReLU()), "0"
    if backend == "paddle":
        from paddle import nn

        return nn.Sequential(model, nn.ReLU()), "0"
    if backend == "keras":
        import keras

        return keras.Sequential([model, keras.layers.ReLU()]), "small"
    from flax import nnx

    return nnx.Sequential(model, nnx.relu), "layers.0"


def test_a_part_of_the_users_own_model_is_named(model, backend, tmp_path):
    own, path = _parts(model, backend)
    x = np.zeros((1, 2, 6, 6), np.float32)
    for verb in (
        lambda: zoo.graph_of(own),
        lambda: zoo.features(own, x, "relu"),
        lambda: zoo.save(own, tmp_path / "w.safetensors"),
        lambda: zoo.convert(own, backend),
        lambda: zoo.loss(own, np.zeros((1, 5)), [1]),
    ):
        with pytest.raises(BackendError, match=f"has a model that zoo built as its part {path!r}"):
            verb()
    if backend == "keras":  # without the weights inside, the answer would be wrong
        for verb in (lambda: zoo.get_weights(own), lambda: zoo.set_weights(own, {})):
            with pytest.raises(BackendError, match="layer 'small' has weights in other layers"):
                verb()


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
        with pytest.raises(ZooError, match="'fc' .*is a Sequential"):
            verb()
    assert not list(tmp_path.iterdir())


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


def _altered_in_torch():
    import torch
    from torch import nn
    from torch.nn.utils import parametrizations, prune

    yield "pruned", lambda m: prune.l1_unstructured(m.conv, "weight", 0.5)
    yield "normalised", lambda m: torch.nn.utils.weight_norm(m.conv)
    yield "normalised", lambda m: torch.nn.utils.spectral_norm(m.conv)
    yield "parametrized", lambda m: parametrizations.weight_norm(m.conv)
    yield (
        "quantized",
        lambda m: torch.ao.quantization.quantize_dynamic(m, {nn.Linear}, inplace=True),
    )


def _altered_in_paddle():
    from paddle import nn

    yield "normalised", lambda m: nn.utils.weight_norm(m.conv)
    yield "normalised", lambda m: nn.utils.spectral_norm(m.conv)


def _altered_in_keras():
    yield "quantized", lambda m: m.quantize("int8")
    yield "has an adapter", lambda m: m.get_layer("fc").enable_lora(2)


def _altered_in_flax():
    from flax import nnx

    rngs = nnx.Rngs(0)
    yield (
        "is a LoRALinear",
        lambda m: setattr(m, "fc", nnx.LoRALinear(64, 5, lora_rank=2, rngs=rngs)),
    )
    yield "is a WeightNorm", lambda m: setattr(m, "conv", nnx.WeightNorm(m.conv, rngs=rngs))


ALTERED = {
    "torch": _altered_in_torch,
    "paddle": _altered_in_paddle,
    "keras": _altered_in_keras,
    "flax": _altered_in_flax,
}


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


def test_pytorchs_counters_are_no_weights(spec, backend, framework):
    zoo.build(spec, "torch")
    state = zoo.build(spec, "torch", seed=1).state_dict()
    assert "bn.num_batches_tracked" in state
    model = zoo.build(spec, backend)
    zoo.set_weights(model, state)
    assert np.array_equal(zoo.get_weights(model)["conv.weight"], state["conv.weight"].numpy())
