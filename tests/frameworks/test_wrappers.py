"""Models inside what frameworks put around them."""

from __future__ import annotations

import dataclasses
import importlib
import warnings

import numpy as np
import pytest
from few_layers import model as model
from few_layers import spec as spec
from loading import load

import zoo
from zoo.errors import BackendError, InputError
from zoo.testing import assert_same


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
    wrapping = "torch.distributed.algorithms._checkpoint.checkpoint_wrapper"
    yield "checkpointed", importlib.import_module(wrapping).checkpoint_wrapper(model)
    model.compile(backend="eager")
    yield "compiled in place", model


def _paddle(model):
    import paddle

    yield "training", paddle.Model(model)
    yield "static", paddle.jit.to_static(model)
    model.eval()
    yield "static in evaluation mode", model


def _keras(model):
    import keras

    shape = model.input_shape[1:]
    inputs = keras.Input(shape)
    yield "functional", keras.Model(inputs, model(inputs))
    yield "for transfer", keras.Model(inputs, model(inputs, training=False))
    yield "sequential", keras.Sequential([model])
    yield "with an input", keras.Sequential([keras.Input(shape), model])
    yield "twice", keras.Sequential([keras.Sequential([model])])


def _flax(model):
    import optax
    from flax import nnx

    yield "jitted", nnx.jit(model)
    yield "rematerialized", nnx.remat(model)
    yield "vmapped", nnx.vmap(model)
    yield "twice", nnx.jit(nnx.remat(model))
    yield "training", nnx.ModelAndOptimizer(model, optax.sgd(0.1))


WRAPPERS = {"torch": _torch, "paddle": _paddle, "keras": _keras, "flax": _flax}


@pytest.mark.frameworks
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


def _unreadable_in_torch(model, tmp_path):
    import torch

    x = torch.zeros(1, 2, 6, 6)
    yield torch.jit.trace(model, x)
    yield torch.jit.freeze(torch.jit.trace(model.eval(), x))
    yield torch.fx.symbolic_trace(model)
    yield torch.export.export(model, (x,))
    yield torch.export.export(model, (x,)).module()
    yield torch.nn.ModuleList([model])
    yield torch.nn.ModuleDict({"one": model})


def _unreadable_in_paddle(model, tmp_path):
    import paddle

    yield paddle.nn.LayerList([model])
    yield paddle.nn.LayerDict({"one": model})
    image = paddle.static.InputSpec([None, 2, 6, 6])
    paddle.jit.save(model, str(tmp_path / "program"), [image])
    yield paddle.jit.load(str(tmp_path / "program"))


def _unreadable_in_keras(model, tmp_path):
    import keras

    yield keras.layers.TimeDistributed(model)
    yield keras.layers.Wrapper(model)
    model.export(tmp_path / "program", verbose=False)
    yield keras.layers.TFSMLayer(tmp_path / "program", call_endpoint="serve")


def _unreadable_in_flax(model, tmp_path):
    import optax
    from flax import nnx

    yield nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    yield nnx.List([model])
    yield nnx.Dict(one=model)
    yield from nnx.split(model)


UNREADABLE = {
    "torch": _unreadable_in_torch,
    "paddle": _unreadable_in_paddle,
    "keras": _unreadable_in_keras,
    "flax": _unreadable_in_flax,
}


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_a_list_of_models_that_computes_is_run(model, backend):
    module = importlib.import_module("flax.nnx" if backend == "flax" else f"{backend}.nn")
    kind = {"torch": "ModuleList", "paddle": "LayerList", "flax": "List"}[backend]
    name = "__call__" if backend == "flax" else "forward"
    computing = type("Mine", (getattr(module, kind),), {name: lambda self, x: self[0](x)})
    x = np.ones((1, 2, 6, 6), np.float32)
    assert np.array_equal(zoo.predict(computing([model]), x), zoo.predict(model, x))
    with pytest.raises(BackendError, match=f"it has no {name}; pass the model that is in it"):
        zoo.predict(getattr(module, kind)([model]), x)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
def test_what_holds_no_readable_model_is_refused_by_every_verb(model, backend, tmp_path):
    x = np.zeros((1, 2, 6, 6), np.float32)
    for thing in UNREADABLE[backend](model, tmp_path):
        for verb in (
            lambda thing=thing: zoo.get_weights(thing),
            lambda thing=thing: zoo.set_weights(thing, {}),
            lambda thing=thing: zoo.predict(thing, x),
            lambda thing=thing: zoo.graph_of(thing),
            lambda thing=thing: zoo.save(thing, tmp_path / "w.safetensors"),
        ):
            with pytest.raises(BackendError, match="zoo cannot read an? .*: it .*pass"):
                verb()


def _parts(model, backend):
    """Models of the user's own with one of zoo's as a part, and its path."""
    if backend == "torch":
        from torch import nn

        yield nn.Sequential(model, nn.ReLU()), "0"
        yield _forwarding(nn.Module)(model), "_module"
    elif backend == "paddle":
        from paddle import nn

        yield nn.Sequential(model, nn.ReLU()), "0"
        yield _forwarding(nn.Layer)(model), "_module"
    elif backend == "keras":
        import keras

        yield keras.Sequential([model, keras.layers.ReLU()]), "small"
        yield _forwarding(keras.Model)(model), "_module"
    else:
        from flax import nnx

        yield nnx.Sequential(model, nnx.relu), "layers.0"
        yield _forwarding(nnx.Module)(model), "_module"


def _forwarding(base):
    """A class of wrappers that have the attributes of what they wrap, as Opacus' and PEFT's do."""

    class Forwarding(base):
        def __init__(self, model):
            super().__init__()
            self._module = model

        def forward(self, x):
            return self._module(x)

        __call__ = forward if base.__module__.startswith("flax") else base.__call__
        call = forward

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name.startswith("_"):
                    raise
                return getattr(self._module, name)

    return Forwarding


@pytest.mark.frameworks
def test_a_part_of_the_users_own_model_is_named(model, backend, tmp_path):
    x, graph = np.zeros((1, 2, 6, 6), np.float32), zoo.graph_of(model)
    for own, path in _parts(model, backend):
        for verb in (
            lambda own=own: zoo.graph_of(own),
            lambda own=own: zoo.features(own, x, "relu"),
            lambda own=own: zoo.save(own, tmp_path / "w.safetensors"),
            lambda own=own: zoo.convert(own, backend),
            lambda own=own: zoo.loss(own, np.zeros((1, 5)), [1]),
            lambda own=own: zoo.get_weights(own),
            lambda own=own: zoo.set_weights(own, {}),
            lambda own=own: assert_same(own, graph, x),
        ):
            with pytest.raises(BackendError, match=f"that zoo built as its part {path!r}; pass"):
                verb()
        assert zoo.predict(own, x).shape == (1, 5)


def test_a_module_that_is_not_hashable(spec):
    load("flax")
    nnx = importlib.import_module("flax.nnx")

    @dataclasses.dataclass
    class Own(nnx.Module):
        model: nnx.Module

        def __call__(self, x):
            return self.model(x)

    model = zoo.build(spec, "flax")
    x = np.random.default_rng(0).random((2, 2, 6, 6), np.float32)
    for own in (Own(model), Own(zoo.reset_head(model, 7, seed=1))):
        assert np.array_equal(zoo.predict(own, x), zoo.predict(own.model, x))


def test_a_keras_model_of_several_outputs(spec):
    load("keras")
    keras = importlib.import_module("keras")
    model = zoo.build(spec, "keras")
    x = np.random.default_rng(0).random((2, 2, 6, 6), np.float32)
    names = ("relu", "flatten", "fc")
    expected = zoo.features(model, x, names)
    tensors = {name: model.get_layer(name).output for name in names}
    for outputs in (list(tensors.values()), tuple(tensors.values())):
        found = zoo.predict(keras.Model(model.inputs, outputs), x)
        assert len(found) == 3
        for value, name in zip(found, names, strict=True):
            assert np.allclose(value, expected[name], atol=1e-6), name
    nested = keras.Model(model.inputs, {"maps": [tensors["relu"]], "logits": tensors["fc"]})
    found = zoo.predict(nested, x)
    assert np.allclose(found["maps"][0], expected["relu"], atol=1e-6)
    assert np.allclose(found["logits"], expected["fc"], atol=1e-6)
    alone = zoo.predict(keras.Model(model.inputs, [model.output]), x)  # in Keras, no list
    assert np.allclose(alone, expected["fc"], atol=1e-6)


#: What a functional model computes besides one of zoo's, without layers of its own.
KERAS_FUNCTIONS = {
    "preprocessing": lambda keras, m, x: m(x / 127.5 - 1),
    "a function": lambda keras, m, x: keras.ops.softmax(m(x)),
    "arithmetic": lambda keras, m, x: 2 * m(x),
    "two calls": lambda keras, m, x: m(x) + m(x),
    "two outputs": lambda keras, m, x: [m(x), m(x)],
    "a list": lambda keras, m, x: [m(x), x],
    "another structure": lambda keras, m, x: {"logits": m(x)},
    "training mode": lambda keras, m, x: m(x, training=True),
}


@pytest.mark.parametrize("kind", KERAS_FUNCTIONS)
def test_a_keras_model_that_computes_more_is_no_wrapper(kind, spec, tmp_path):
    load("keras")
    keras = importlib.import_module("keras")
    model = zoo.build(spec, "keras")
    inputs = keras.Input((6, 6, 2))
    own = keras.Model(inputs, KERAS_FUNCTIONS[kind](keras, model, inputs))
    x = np.random.default_rng(0).random((2, 2, 6, 6), np.float32) * 255
    found, expected = zoo.predict(own, x), own(x.transpose(0, 2, 3, 1), training=False)
    keras.tree.map_structure(
        lambda a, b: (
            np.testing.assert_allclose(a, b.numpy().reshape(a.shape), rtol=1e-4, atol=1e-4)
            if kind != "a list"
            else None
        ),
        found,
        expected,
    )
    for verb in (zoo.get_weights, lambda m: zoo.save(m, tmp_path / "w.safetensors")):
        with pytest.raises(BackendError, match="has a model that zoo built as its part 'small'"):
            verb(own)


def test_the_size_of_a_keras_model_is_stated_as_predict_takes_it(spec):
    load("keras")
    keras = importlib.import_module("keras")
    model = zoo.build(spec, "keras")
    own = keras.Sequential([keras.Input((6, 6, 2)), model, keras.layers.ReLU()])
    with pytest.raises(InputError, match=r"inputs \[N, 2, 6, 6\], got \[1, 2, 8, 6\].*\(8, 6\)"):
        zoo.predict(own, np.zeros((1, 2, 8, 6), np.float32))
    two = [keras.Input((6, 6, 2)), keras.Input((6, 6, 2))]
    both = keras.Model(two, keras.layers.Subtract()([model(each) for each in two]))
    with pytest.raises(BackendError, match="2 inputs"):
        zoo.predict(both, np.zeros((1, 2, 6, 6), np.float32))


def test_several_models_that_nnx_made_one_are_refused(spec, tmp_path):
    load("flax")
    jax, nnx = importlib.import_module("jax"), importlib.import_module("flax.nnx")
    model = zoo.build(spec, "flax")
    weights, x = zoo.get_weights(model), np.zeros((1, 2, 6, 6), np.float32)
    many = nnx.vmap(lambda _: nnx.clone(model), in_axes=0, out_axes=0)(np.arange(3))
    for verb in (
        lambda: zoo.get_weights(many),
        lambda: zoo.set_weights(many, weights),
        lambda: zoo.predict(many, x),
        lambda: zoo.features(many, x, "relu"),
        lambda: zoo.graph_of(many),
        lambda: zoo.save(many, tmp_path / "w.safetensors"),
        lambda: zoo.convert(many, "flax"),
    ):
        with pytest.raises(
            BackendError, match=r"3 models in one.*tree\.map\(lambda a: a\[0\], model"
        ):
            verb()
    one = zoo.get_weights(jax.tree.map(lambda a: a[0], many))
    assert all(np.array_equal(one[name], value) for name, value in weights.items())


def test_what_a_flax_model_keeps_of_its_last_run_is_ignored(spec, tmp_path):
    load("flax")
    jax, nnx = importlib.import_module("jax"), importlib.import_module("flax.nnx")
    model = zoo.build(spec, "flax")
    x = np.random.default_rng(0).random((2, 2, 6, 6), np.float32)
    expected, weights = zoo.predict(model, x), zoo.get_weights(model)
    for times in (1, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer versions of Flax have another way
            model.sow(nnx.Intermediate, "a_feature", jax.numpy.ones(3))
        assert np.array_equal(zoo.predict(model, x), expected), times
        assert zoo.get_weights(model).keys() == weights.keys()
    assert zoo.features(model, x, "relu")["relu"].shape == (2, 4, 4, 4)
    assert np.allclose(zoo.predict(zoo.convert(model, "flax"), x), expected, atol=1e-6)
    zoo.save(model, tmp_path / "w.safetensors")
    saved = zoo.get_weights(zoo.build(spec, "flax", weights=tmp_path / "w.safetensors"))
    assert all(np.array_equal(saved[name], value) for name, value in weights.items())
    zoo.set_weights(model, weights)


def test_a_keras_model_of_a_users_own_class(spec):
    load("keras")
    keras = importlib.import_module("keras")
    model = zoo.build(spec, "keras")

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.net = model

        def call(self, x):
            return self.net(x)

    x = np.random.default_rng(0).random((2, 2, 6, 6), np.float32)
    own, sequence = Own(), keras.Sequential([keras.layers.Rescaling(1.0), model])
    assert np.allclose(zoo.predict(own, x), zoo.predict(model, x), atol=1e-6)
    assert np.allclose(zoo.predict(sequence, x), zoo.predict(model, x), atol=1e-6)
    for verb in (lambda: zoo.get_weights(own), lambda: zoo.set_weights(own, {})):
        with pytest.raises(BackendError, match="this Own has .* as its part 'net'; pass that part"):
            verb()


@pytest.mark.frameworks
def test_pytorchs_counters_are_no_weights(spec, backend, framework):
    zoo.build(spec, "torch")
    state = zoo.build(spec, "torch", seed=1).state_dict()
    assert "bn.num_batches_tracked" in state
    model = zoo.build(spec, backend)
    zoo.set_weights(model, state)
    assert np.array_equal(zoo.get_weights(model)["conv.weight"], state["conv.weight"].numpy())
