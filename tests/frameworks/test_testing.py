"""Models written by hand in each framework, compared with a spec, without and with faults."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from loading import load
from small import GOOGLENET

import zoo
from zoo.backend import registry
from zoo.errors import InputError, UnknownNameError
from zoo.testing import assert_same

pytestmark = pytest.mark.frameworks

SPEC = """
stem: {layers: {conv: {op: conv, out_channels: 6, kernel_size: 3, padding: 1, stride: 2}, bn: {op: batch_norm}, relu: {op: relu}}}
left: {op: conv, from: stem, out_channels: 4, kernel_size: 1}
right: {op: conv, from: stem, out_channels: 4, kernel_size: 3, padding: 1}
join: {op: concat, from: [left, right]}
act: {op: relu}
pool: {op: max_pool, kernel_size: 2, stride: 2}
flatten: {op: flatten}
fc1: {op: linear, out_features: 16}
relu1: {op: relu}
fc2: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 5, input_size: 16}\n"
NAMES = {"stem.conv": "c1", "stem.bn": "b1", "left": "a", "right": "b", "fc*": "dense*"}


def in_torch(
    relu=True, padding=1, swapped=False, eps=1e-5, double=False, new=0.1, late=1, norm=None
):
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1 = nn.Conv2d(3, 6, 3, 2, 1)
            self.b1 = (norm or nn.BatchNorm2d)(6, eps=eps, momentum=new)
            self.a = nn.Conv2d(6, 4, 1)
            self.b = nn.Conv2d(6, 4, 3, padding=padding)
            self.dense1 = nn.Linear(8 * 4 * 4, 16)
            self.dense2 = nn.Linear(16, 5)

        def forward(self, x):
            x = F.relu(self.b1(self.c1(x)))
            parts = [self.a(x), F.pad(self.b(x), (1, 1, 1, 1)) if padding == 0 else self.b(x)]
            x = F.relu(torch.cat(parts[::-1] if swapped else parts, 1))
            x = self.dense1(F.max_pool2d(x, 2).flatten(1))
            return self.dense2(F.relu(x) if relu else x) * (late if self.training else 1)

    model = Mine().double() if double else Mine()
    with torch.no_grad():
        model.b1.running_mean.uniform_(-0.1, 0.1)
        model.b1.running_var.uniform_(0.01, 0.02)
    return model


def in_paddle(relu=True, padding=1, swapped=False, eps=1e-5, double=False, new=0.1, late=1):
    import paddle
    from paddle import nn
    from paddle.nn import functional as F

    class Mine(nn.Layer):
        def __init__(self):
            super().__init__()
            self.c1 = nn.Conv2D(3, 6, 3, 2, 1)
            self.b1 = nn.BatchNorm2D(6, momentum=1 - new, epsilon=eps)
            self.a = nn.Conv2D(6, 4, 1)
            self.b = nn.Conv2D(6, 4, 3, padding=padding)
            self.dense1 = nn.Linear(8 * 4 * 4, 16)
            self.dense2 = nn.Linear(16, 5)

        def forward(self, x):
            x = F.relu(self.b1(self.c1(x)))
            parts = [self.a(x), F.pad(self.b(x), [1, 1, 1, 1]) if padding == 0 else self.b(x)]
            x = F.relu(paddle.concat(parts[::-1] if swapped else parts, 1))
            x = self.dense1(F.max_pool2d(x, 2).flatten(1))
            return self.dense2(F.relu(x) if relu else x) * (late if self.training else 1)

    model = Mine()
    model.b1._variance.set_value(paddle.uniform([6], min=0.01, max=0.02))
    return model.to(dtype="float64") if double else model


def in_keras(relu=True, padding=1, swapped=False, eps=1e-5, double=False, new=0.1, late=1):
    import keras
    from keras import layers, ops

    options = {"dtype": "float64" if double else "float32"}

    class Mine(keras.Model):
        def __init__(self):
            super().__init__(**options)
            self.pad = layers.ZeroPadding2D(1, **options)
            self.c1 = layers.Conv2D(6, 3, 2, **options)
            self.b1 = layers.BatchNormalization(momentum=1 - new, epsilon=eps, **options)
            self.a = layers.Conv2D(4, 1, **options)
            self.b = layers.Conv2D(4, 3, padding="same" if padding else "valid", **options)
            self.dense1 = layers.Dense(16, **options)
            self.dense2 = layers.Dense(5, **options)

        def call(self, x, training=False):
            x = ops.relu(self.b1(self.c1(self.pad(x)), training=training))
            parts = [self.a(x), self.b(x) if padding else self.pad(self.b(x))]
            x = ops.relu(ops.concatenate(parts[::-1] if swapped else parts, -1))
            x = ops.max_pool(x, 2, 2)
            x = self.dense1(ops.reshape(x, (-1, 8 * 4 * 4)))
            return self.dense2(ops.relu(x) if relu else x) * (late if training else 1)

    model = Mine()
    model(np.zeros((1, 16, 16, 3), np.float32))
    model.b1.moving_variance.assign(np.linspace(0.01, 0.02, 6))
    return model


def in_flax(relu=True, padding=1, swapped=False, eps=1e-5, double=False, new=0.1, late=1):
    import jax.numpy as jnp
    from flax import nnx

    kind = jnp.float64 if double else jnp.float32
    rngs, options = nnx.Rngs(0), {"param_dtype": kind}

    class Mine(nnx.Module):
        def __init__(self):
            self.c1 = nnx.Conv(3, 6, (3, 3), 2, padding=1, rngs=rngs, **options)
            self.b1 = nnx.BatchNorm(6, momentum=1 - new, epsilon=eps, rngs=rngs, **options)
            self.a = nnx.Conv(6, 4, (1, 1), rngs=rngs, **options)
            self.b = nnx.Conv(6, 4, (3, 3), padding=padding, rngs=rngs, **options)
            self.dense1 = nnx.Linear(8 * 4 * 4, 16, rngs=rngs, **options)
            self.dense2 = nnx.Linear(16, 5, rngs=rngs, **options)

        def __call__(self, x):
            x = nnx.relu(self.b1(self.c1(x)))
            right = self.b(x)
            parts = [
                self.a(x),
                right if padding else jnp.pad(right, ((0, 0), (1, 1), (1, 1), (0, 0))),
            ]
            x = nnx.relu(jnp.concatenate(parts[::-1] if swapped else parts, -1))
            x = nnx.max_pool(x, (2, 2), (2, 2))
            x = self.dense1(x.reshape(len(x), -1))
            x = self.dense2(nnx.relu(x) if relu else x)
            return x if self.b1.use_running_average else x * late

    model = Mine()
    model.b1.var.set_value(jnp.linspace(0.01, 0.02, 6, dtype=kind))
    model.b1.mean.set_value(model.b1.mean[...].astype(kind))
    return model


MAKERS = {"torch": in_torch, "paddle": in_paddle, "keras": in_keras, "flax": in_flax}


@pytest.fixture
def make(framework, backend):
    return MAKERS[backend]


@pytest.fixture
def spec(spec_file):
    return spec_file(SPEC, header=HEADER)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)


@pytest.mark.parametrize("double", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_right_model_passes(make, spec, x, backend, double):
    model = make(double=double)
    before = registry.of(model).own_weights(model)
    # Paddle's own batch norm holds eps in float32, which float64 shows.
    options = {"tolerance": 1e-10} if double and backend == "paddle" else {}
    labels = np.array([4, 0, 2]) if double else [[4], [0], [2]]
    assert_same(model, spec, x, names=NAMES, level="gradients", labels=labels, **options)
    after = registry.of(model).own_weights(model)
    assert all(np.array_equal(value, after[name]) for name, value in before.items())
    if backend in ("torch", "paddle"):
        assert model.training, "its mode is its own"


def test_it_is_held_against_a_model_of_another_framework(make, spec, x, backend):
    other = "torch" if backend == "flax" else "flax"
    load(other)
    theirs = zoo.build(spec, other, seed=3)
    before = zoo.get_weights(theirs)
    assert_same(make(), theirs, x, names=NAMES)
    assert all(np.array_equal(v, zoo.get_weights(theirs)[n]) for n, v in before.items())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            {"relu": False},
            ["diverge at fc2 (linear, 5)", "Without relu1 (relu, 16)", "may omit this node"],
        ),
        ({"padding": 0}, ["diverge at right (conv, 4x8x8): ", " has 4x6x6 there"]),
        ({"swapped": True}, ["diverge at fc1 (linear, 16)", "join (concat, 8x8x8), act (relu"]),
        (
            {"eps": 1e-3},
            ["diverge at stem.bn (batch_norm, 6x8x8)", "eps=1e-05", "nodes before it match"],
        ),
    ],
    ids=["relu", "padding", "swapped", "eps"],
)
def test_a_fault_is_named(fault, words, make, spec, x):
    with pytest.raises(AssertionError) as told:
        assert_same(make(**fault), spec, x, names=NAMES)
    for word in words:
        assert word in str(told.value)
    assert str(told.value).startswith("Mine is not tiny: they diverge at ")


def test_what_follows_from_other_settings_is_not_told(spec_file):
    load("torch")
    layers = "pool: {op: max_pool, kernel_size: 3, padding: 1}\nflatten: {op: flatten}\n"
    model = zoo.build(
        spec_file(layers.replace("3, padding: 1", "1, stride: 3")), "torch", input_size=9
    )
    x = np.random.default_rng(0).random((1, 3, 9, 9), np.float32)
    with pytest.raises(AssertionError, match="diverge at pool") as told:
        assert_same(model, spec_file(layers), x)
    settings = "max_pool with kernel_size=(3, 3), stride=(3, 3), padding=(1, 1, 1, 1).\n"
    assert settings in str(told.value)


def test_names_that_do_not_fit(make, spec, x):
    model = make()
    with pytest.raises(AssertionError, match=r"missing: stem\.conv\.weight"):
        assert_same(model, spec, x, names={n: o for n, o in NAMES.items() if n != "stem.conv"})
    with pytest.raises(UnknownNameError, match="no node or block 'stem.cnv'. Did you mean"):
        assert_same(model, spec, x, names={**NAMES, "stem.cnv": "c1"})
    with pytest.raises(UnknownNameError, match="unknown level 'gradient'"):
        assert_same(model, spec, x, names=NAMES, level="gradient")
    with pytest.raises(InputError, match="model_b must be a model that zoo built"):
        assert_same(model, model, x, names=NAMES)
    with pytest.raises(InputError, match="expected x"):
        assert_same(model, spec, x[0], names=NAMES)
    assert_same(model, spec, x, names=NAMES, level="structure")


def test_nan_in_both_is_a_difference(spec_file):
    load("torch")
    from torch import nn

    spec = spec_file(
        "flatten: {op: flatten}\nfc: {op: linear, out_features: 4}\n",
        header="options: {num_classes: 4, input_size: 2}\n",
    )
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), np.ones((2, 3, 2, 2), np.float32)
    assert_same(model, spec, x, names={"flatten": "0", "fc": "1"})
    model[1].bias.data[0] = float("nan")
    with pytest.raises(
        AssertionError, match=r"diverge at fc \(linear, 4\): Sequential has NaN there"
    ):
        assert_same(model, spec, x, names={"flatten": "0", "fc": "1"})


@pytest.mark.parametrize("double", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_step_of_training(double, make, spec, x, backend):
    own, options = {}, {"names": NAMES, "level": "training"}
    if backend == "paddle" and double:  # whose own batch norm holds eps and momentum in float32
        with pytest.raises(AssertionError, match="diverge at stem.bn .* above 1.0e-12"):
            assert_same(make(double=True), spec, x, **options)
        options["tolerance"] = 1e-6
    if backend == "torch":  # whose own batch norm keeps another variance
        from zoo.torch.modules import BatchNorm

        own = {"norm": BatchNorm}
    model = make(double=double, **own)
    before = registry.of(model).own_weights(model)
    assert_same(model, spec, x, **options)
    after = registry.of(model).own_weights(model)
    assert all(np.array_equal(value, after[name]) for name, value in before.items())
    with pytest.raises(
        AssertionError, match=r"stem\.bn\.running_mean is off.*\n.* weights the new value by 0\.3, "
    ):
        assert_same(make(double=double, new=0.3, **own), spec, x, **options)


def test_the_unbiased_variance_is_named(spec, x):
    load("torch")
    assert_same(in_torch(), spec, x, names=NAMES, level="gradients")
    with pytest.raises(AssertionError) as told:
        assert_same(in_torch(), spec, x, names=NAMES, level="training")
    first, second = str(told.value).splitlines()
    assert "after a training step stem.bn.running_var is off by" in first
    assert "the unbiased variance of a batch, 192/191 of the spec's. PyTorch's own" in second
    with pytest.raises(
        AssertionError, match=r"(?s)running_mean.* weights the new value by 0\.2, .*192/191 of the"
    ):
        assert_same(in_torch(new=0.2), spec, x, names=NAMES, level="training")


def test_a_fault_in_training_alone(make, spec, x):
    model = make(late=2)
    assert_same(model, spec, x, names=NAMES)
    with pytest.raises(AssertionError, match="the training loss is .*, the spec's is "):
        assert_same(model, spec, x, names=NAMES, level="gradients")


def test_one_value_of_each_channel(spec_file):
    load("torch")
    from torch import nn

    spec = spec_file(
        "flatten: {op: flatten}\nfc: {op: linear, out_features: 4}\nbn: {op: batch_norm}\n",
        header="options: {num_classes: 4, input_size: 2}\n",
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4))
    names = {"flatten": "0", "fc": "1", "bn": "2"}
    x = np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype(np.float32)
    assert_same(model, spec, x, names=names, level="gradients")
    with pytest.raises(InputError, match="bn has one value per channel: give x more examples"):
        assert_same(model, spec, x[:1], names=names, level="gradients")


def test_another_number_of_outputs(framework, backend, spec, x):
    graph = zoo.graph(GOOGLENET, num_classes=3)
    model = zoo.build(GOOGLENET, backend, num_classes=3)
    image = np.random.default_rng(1).standard_normal((1, 3, 96, 96)).astype(np.float32)
    assert_same(model, graph, image)
    heads = zoo.graph(GOOGLENET, aux=True, num_classes=3)
    with pytest.raises(AssertionError, match="aux1"):
        assert_same(model, heads, image)


def test_the_tutorials_googlenet(capsys):
    load("paddle")
    path = Path(__file__).parents[2] / "examples" / "hand_written_googlenet.py"
    module = importlib.util.spec_from_file_location("hand_written_googlenet", path)
    example = importlib.util.module_from_spec(module)
    module.loader.exec_module(example)
    example.main()
    told = capsys.readouterr().out
    assert "It is googlenet_tutorial" in told
    assert "GoogLeNet is not googlenet_tutorial_relu: they diverge at aux1." in told
    assert (
        "Without aux1.conv.relu (relu, 128x1x1) the spec computes the same value: the model may"
        in told
    )
    # At its full size it has the parameters that the tutorial's own summary tells.
    model = example.GoogLeNet()
    assert sum(int(p.size) for p in model.parameters()) == 13_378_280
