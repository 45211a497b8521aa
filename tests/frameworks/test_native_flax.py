"""What a Flax user does with a module works on zoo's."""

import copy
import importlib
import pickle
import textwrap

import everything
import numpy as np
import pytest
from loading import load
from small import GOOGLENET, VGG_BN

import zoo
from zoo.backend import registry
from zoo.errors import BackendError

load("flax")
import jax
import jax.export
from flax import nnx


@pytest.fixture(scope="module")
def model():
    return zoo.build(GOOGLENET, "flax", aux=True)


@pytest.fixture(scope="module")
def x():
    return jax.numpy.linspace(-1, 1, 2 * 96 * 96 * 3, dtype="float32").reshape(2, 96, 96, 3)


forward = nnx.jit(lambda model, x: model(x))  # one for all, so that it is compiled once


def logits(model, x):
    model.eval()
    return np.asarray(forward(model, x)["logits"])


def test_the_structure_is_the_specs(model):
    assert isinstance(model, nnx.Module)
    conv = model.inception3a.branch5x5.reduce.conv
    assert isinstance(conv, nnx.Conv)
    assert conv.kernel.shape == (1, 1, 192, 16)
    text = str(model)
    assert "inception3a" in text
    assert "branch5x5" in text
    assert model.inception3a(jax.numpy.zeros((1, 12, 12, 192))).shape == (1, 12, 12, 256)


def test_display(model, capsys):
    nnx.display(model)
    assert "inception3a" in capsys.readouterr().out


def test_split_merge_and_deepcopy(model, x):
    expected = logits(model, x)
    graphdef, state = nnx.split(model)
    assert np.array_equal(logits(nnx.merge(graphdef, state), x), expected)
    twin = copy.deepcopy(model)
    assert np.array_equal(logits(twin, x), expected)
    twin.fc.bias[...] = twin.fc.bias[...] + 1
    assert np.allclose(logits(twin, x), expected + 1, atol=1e-4)
    assert np.array_equal(logits(model, x), expected)
    planar = np.asarray(x).transpose(0, 3, 1, 2)
    assert not np.array_equal(
        zoo.predict(twin, planar)["logits"], zoo.predict(model, planar)["logits"]
    )


def test_state_round_trip(model, x):
    pure = nnx.to_pure_dict(nnx.state(model))
    other = zoo.build(GOOGLENET, "flax", aux=True, seed=5)
    state = nnx.state(other)
    nnx.replace_by_pure_dict(state, pure)
    nnx.update(other, state)
    assert np.array_equal(logits(other, x), logits(model, x))


def test_gradients_reach_every_parameter(x):
    model = zoo.build(GOOGLENET, "flax", aux=True)
    model.train()

    @nnx.jit
    def gradients(model, x):
        return nnx.grad(lambda m: sum(-jax.nn.log_softmax(v)[:, 1].mean() for v in m(x).values()))(
            model
        )

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients(model, x)):
        assert np.isfinite(leaf).all()
        if "kernel" in str(path):
            assert np.abs(leaf).max() > 0, path


def test_train_and_eval(model):
    model.train()
    assert not model.dropout.deterministic
    model.eval()
    assert model.dropout.deterministic


def test_dropout_drops_in_training_alone(spec_file):
    model = zoo.build(
        spec_file("drop: {op: dropout, rate: 0.25}"), "flax", in_channels=8, input_size=32
    )
    x = jax.numpy.ones((4, 32, 32, 8))
    model.train()
    value = np.asarray(model(x))
    assert 0.23 < (value == 0).mean() < 0.27
    assert np.allclose(value[value > 0], 1 / 0.75)
    assert not np.array_equal(value, model(x))
    model.eval()
    assert np.array_equal(model(x), x)


def test_batch_norm_keeps_the_biased_variance():
    jax.config.update("jax_enable_x64", True)
    model = zoo.build(VGG_BN, "flax", num_classes=3, dtype="float64")
    model.train()
    x = np.random.default_rng(0).standard_normal((4, 32, 32, 3))
    value = np.asarray(model.stage1.conv1.conv(x))
    model(x)
    bn = model.stage1.conv1.bn
    assert np.allclose(bn.var[...], 0.9 + 0.1 * value.var((0, 1, 2)), rtol=1e-12)
    assert np.allclose(bn.mean[...], 0.1 * value.mean((0, 1, 2)), rtol=1e-10, atol=1e-15)


def test_predict_follows_the_model_when_it_is_changed(x):
    model = zoo.build(VGG_BN, "flax", num_classes=3)
    planar = np.asarray(x)[:, :32, :32].transpose(0, 3, 1, 2)
    first = zoo.predict(model, planar)
    model.fc3 = nnx.Linear(24, 5, rngs=nnx.Rngs(0))
    assert zoo.predict(model, planar).shape == (2, 5)
    again = zoo.build(VGG_BN, "flax", num_classes=3)
    assert np.array_equal(zoo.predict(again, planar), first)


def test_a_model_in_float64_is_used_only_where_jax_computes_in_it(tmp_path):
    x = np.zeros((1, 1, 32, 32))
    with jax.enable_x64(True):
        model = zoo.build("lenet5", "flax", dtype="float64")
        foreign = nnx.Conv(1, 2, (3, 3), param_dtype="float64", rngs=nnx.Rngs(0))
        weights, expected = zoo.get_weights(model), zoo.predict(model, x)
    before = nnx.state(model)
    ours = [
        lambda: zoo.features(model, x, "c1"),
        lambda: zoo.set_weights(model, {n: 2 * array for n, array in weights.items()}),
        lambda: zoo.optimizer(model, "sgd", lr=0.1),
        lambda: zoo.export(model, tmp_path / "w.jaxexport"),
        lambda: zoo.predict(model, x),
        lambda: zoo.predict(foreign, x),
    ]
    for verb in ours:
        with jax.enable_x64(False), pytest.raises(BackendError, match="float64 requires its x64"):
            verb()
    with jax.enable_x64(False):
        unchanged = zoo.get_weights(model)
    assert all(array.dtype == np.float64 for array in unchanged.values())
    assert all(np.array_equal(unchanged[name], array) for name, array in weights.items())
    assert jax.tree.all(jax.tree.map(lambda a, b: a is b, before, nnx.state(model)))
    with jax.enable_x64(True):
        assert np.array_equal(zoo.predict(model, x), expected)


@pytest.mark.parametrize(("dtype", "used"), [("float32", True), ("float64", False)])
def test_the_library_of_matrix_products_is_for_float32(dtype, used, monkeypatch):
    """With it, float64 takes several times as long."""
    private = importlib.import_module("zoo.flax._private")
    asked = []
    monkeypatch.setattr(private, "compiler_options", lambda: asked.append(dtype))
    with jax.enable_x64(dtype == "float64"):
        model = zoo.build("lenet5", "flax", dtype=dtype)
        zoo.predict(model, np.zeros((1, *zoo.graph("lenet5").input_shape), np.float32))
    assert bool(asked) == used


def test_names_are_free_in_every_module():
    from zoo.graphs.names import problem_with

    for name in dir(nnx.Module):
        assert problem_with(name), f"{name} is an attribute of nnx.Module"


@pytest.fixture(scope="module")
def every_operation(tmp_path_factory):
    """A model with all operations."""
    path = tmp_path_factory.mktemp("specs") / "everything.yaml"
    header = "format: 1\nname: everything\noptions: {num_classes: 10, input_size: 25}\nlayers:\n"
    path.write_text(header + textwrap.indent(everything.LAYERS.strip(), "  ") + "\n")
    return zoo.build(path, "flax")


def test_pickling(every_operation):
    x = np.random.default_rng(0).random((2, 3, 25, 25), np.float32)
    again = pickle.loads(pickle.dumps(every_operation))
    assert np.array_equal(zoo.predict(again, x), zoo.predict(every_operation, x))
    assert zoo.graph_of(again) == zoo.graph_of(every_operation)


def test_export_with_a_batch_of_any_size(every_operation):
    every_operation.eval()
    graphdef, state = nnx.split(every_operation)
    (batch,) = jax.export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, 25, 25, 3), np.float32)
    program = jax.export.export(jax.jit(lambda x: nnx.merge(graphdef, state)(x)))(x)
    images = np.random.default_rng(0).random((3, 25, 25, 3), np.float32)
    found = program.call(images)
    assert np.allclose(found, every_operation(images), rtol=1e-4, atol=1e-5)


class Branching(nnx.Module):
    """A model that no compiler can follow: what it computes depends on its values."""

    def __init__(self):
        self.scale = nnx.Param(np.float32([2.0]))

    def __call__(self, x):
        return x.sum((1, 2)) * (self.scale if x.sum() > 0 else -self.scale)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_model_that_depends_on_values_is_differentiated(sign):
    x = np.full((1, 3, 2, 2), sign, np.float32)
    backend = registry.load("flax")
    value, gradients, _, _ = backend.differentiate(Branching(), x, lambda y: y.sum(), ())
    assert (value, gradients["scale"].tolist()) == (24, [12])


class Contained(nnx.Module):
    """A model with layers and parameters in containers, as the bridge to Linen's modules has."""

    def __init__(self):
        layers = [nnx.Linear(2, 2, rngs=nnx.Rngs(seed)) for seed in range(3)]
        self.scaled = nnx.data({"scale": nnx.Param(np.float32([2.0])), "layers": layers})
        self.settings = (1, "same", {"sizes": [3]})

    def __call__(self, x):
        for layer in self.scaled["layers"]:
            x = layer(x.mean((1, 2)) if x.ndim > 2 else x)
        return x * self.scaled["scale"]


def test_predict_finds_what_is_in_containers():
    model, x = Contained(), np.random.default_rng(0).random((3, 2, 4, 4), np.float32)

    def check():
        expected = model(x.transpose(0, 2, 3, 1))
        np.testing.assert_allclose(zoo.predict(model, x), expected, rtol=1e-5, atol=1e-7)

    check()
    model.scaled["scale"] = nnx.Param(np.float32([3.0]))
    check()
    model.scaled["layers"][0] = nnx.Linear(2, 2, rngs=nnx.Rngs(7))
    check()
    model.scaled["layers"].pop()
    check()


def test_values_of_numpy_are_set():
    """As a state has them that was restored from MessagePack."""
    model, other = zoo.build("lenet5", "flax"), zoo.build("lenet5", "flax", seed=1)
    nnx.update(model, jax.tree.map(np.asarray, nnx.state(model)))
    zoo.set_weights(model, zoo.get_weights(other))
    for name, value in zoo.get_weights(other).items():
        assert np.array_equal(zoo.get_weights(model)[name], value)
