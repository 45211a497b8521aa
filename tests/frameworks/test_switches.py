"""The frameworks' own defaults, and what a switch of a study does."""

import inspect
import warnings

import numpy as np
import pytest
from loading import load

import zoo
from zoo.backend import registry
from zoo.backend.training import Part, Plan, Rule
from zoo.comparing.switches import of_images
from zoo.data.images import scaled

pytestmark = pytest.mark.frameworks


def default(function, name):
    function = function.__init__ if inspect.isclass(function) else function
    return inspect.signature(function).parameters[name].default


def of_torch():
    import torch
    from torch import nn, optim

    norm, pool = nn.BatchNorm2d(1), nn.AvgPool2d(3)
    before, batch = float(norm.running_var), torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1)
    norm(batch)
    added = float(norm.running_var) - (1 - norm.momentum) * before
    classes = {"adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop}
    return {
        "batch_norm_momentum": norm.momentum,
        "batch_norm_eps": norm.eps,
        "batch_norm_variance": variance(added / norm.momentum),
        "layer_norm_eps": nn.LayerNorm(1).eps,
        "average_padding": "counted" if pool.count_include_pad else "not counted",
        "optimizer_eps": {name: default(kind, "eps") for name, kind in classes.items()},
        "optimizer_alpha": {"rmsprop": default(optim.RMSprop, "alpha")},
        "weight_decay": {"adamw": default(optim.AdamW, "weight_decay")},
    }


def of_paddle():
    import paddle
    from paddle import nn, optimizer

    norm = nn.BatchNorm2D(1)
    kept = default(nn.BatchNorm2D, "momentum")
    with warnings.catch_warnings(action="ignore"):  # that it tracks statistics, which is wanted
        norm(paddle.to_tensor(np.array([0.0, 2.0], "float32").reshape(2, 1, 1, 1)))
    classes = {"adam": optimizer.Adam, "adamw": optimizer.AdamW, "rmsprop": optimizer.RMSProp}
    exclusive = default(nn.AvgPool2D, "exclusive")
    return {
        "batch_norm_momentum": 1 - kept,
        "batch_norm_eps": default(nn.BatchNorm2D, "epsilon"),
        "batch_norm_variance": variance((float(norm._variance[0]) - kept) / (1 - kept)),
        "layer_norm_eps": default(nn.LayerNorm, "epsilon"),
        "average_padding": "not counted" if exclusive else "counted",
        "optimizer_eps": {name: default(kind, "epsilon") for name, kind in classes.items()},
        "optimizer_alpha": {"rmsprop": default(optimizer.RMSProp, "rho")},
        "weight_decay": {"adamw": default(optimizer.AdamW, "weight_decay")},
    }


def of_keras():
    import keras
    from keras import layers, optimizers

    norm = layers.BatchNormalization()
    norm(np.array([0.0, 2.0], "float32").reshape(2, 1, 1, 1), training=True)
    moved = float(norm.moving_variance[0]) - norm.momentum
    classes = {"adam": optimizers.Adam, "adamw": optimizers.AdamW, "rmsprop": optimizers.RMSprop}
    ones = np.ones((1, 2, 2, 1), "float32")
    corner = float(layers.AveragePooling2D(2, 1, "same")(ones)[0, 1, 1, 0])
    antialias = default(layers.Resizing, "antialias")
    weight, decay = keras.Variable([1.0]), 0.5
    optimizers.SGD(0.1, weight_decay=decay, momentum=0.9).apply([keras.ops.zeros(1)], [weight])
    optimizers.SGD(0.1, weight_decay=decay, momentum=0.9).apply([keras.ops.zeros(1)], [weight])
    return {
        "batch_norm_momentum": 1 - norm.momentum,
        "batch_norm_eps": norm.epsilon,
        "batch_norm_variance": variance(moved / (1 - norm.momentum)),
        "layer_norm_eps": layers.LayerNormalization().epsilon,
        "average_padding": "not counted" if corner == 1 else "counted",
        "optimizer_eps": {name: kind().epsilon for name, kind in classes.items()},
        "optimizer_alpha": {"rmsprop": optimizers.RMSprop().rho},
        "weight_decay": {"adamw": optimizers.AdamW().weight_decay},
        "resize": default(layers.Resizing, "interpolation") + "-antialias" * antialias,
        "decay": "decoupled" if np.isclose(float(weight[0]), 0.95**2) else "coupled",
    }


def of_flax():
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    norm = nnx.BatchNorm(1, rngs=nnx.Rngs(0))
    norm(jnp.array([0.0, 2.0], jnp.float32).reshape(2, 1, 1, 1))  # others may have set JAX's x64
    added = (float(norm.var[...][0]) - norm.momentum) / (1 - norm.momentum)
    classes = {"adam": optax.adam, "adamw": optax.adamw, "rmsprop": optax.rmsprop}
    counted = default(nnx.avg_pool, "count_include_pad")
    return {
        "batch_norm_momentum": 1 - norm.momentum,
        "batch_norm_eps": norm.epsilon,
        "batch_norm_variance": variance(added),
        "layer_norm_eps": default(nnx.LayerNorm, "epsilon"),
        "padding": default(nnx.Conv, "padding").lower(),
        "average_padding": "counted" if counted else "not counted",
        "optimizer_eps": {name: default(kind, "eps") for name, kind in classes.items()},
        "optimizer_alpha": {"rmsprop": default(optax.rmsprop, "decay")},
        "weight_decay": {"adamw": default(optax.adamw, "weight_decay")},
        "resize": "bilinear" + "-antialias" * default(jax.image.resize, "antialias"),
    }


def variance(of_batch):
    """Say which variance of the values 0 and 2 it is."""
    return {1: "biased", 2: "unbiased"}[round(of_batch)]


def test_what_is_said_of_a_framework_is_what_it_does(backend):
    load(backend)
    said = registry.resolve(backend).defaults
    for name, value in globals()[f"of_{backend}"]().items():
        close = isinstance(value, float) and np.isclose(said[name], value, rtol=1e-6, atol=0)
        assert close or said[name] == value, (name, said[name], value)


BATCHES = [
    (np.random.default_rng(i).standard_normal((4, 1, 3, 3), np.float32), np.arange(4) % 3)
    for i in range(4)
]

RULES = {
    "sgd": Rule("sgd", 0.1, momentum=0.9),
    "adam": Rule("adam", 0.01),
    "adamw": Rule("adamw", 0.01),
    "rmsprop": Rule("rmsprop", 0.01, momentum=0.5),
}


@pytest.fixture
def linear(spec_file):
    layers = "flatten: {op: flatten}\nfc: {op: linear, out_features: 3}"
    return spec_file(layers, header="options: {in_channels: 1, input_size: 3, num_classes: 3}\n")


def weights_after(path, backend, rule, steps=4, **options):
    loaded = load(backend)
    model = zoo.build(path, backend)
    trainer = loaded.trainer(model, Plan(rule, **options))
    for number, (x, labels) in enumerate(BATCHES[:steps]):
        given = x.transpose(0, 2, 3, 1) if loaded.channels_last else x
        trainer.step([Part(np.ascontiguousarray(given), labels, {})], rule.lr / (1 + number))
    return loaded.get_weights(model)["fc.weight"]


@pytest.mark.parametrize("name", RULES)
def test_an_optimizer_is_said_to_be_the_written_rule_only_if_it_is(linear, backend, name):
    """Bit for bit, while the learning rate changes."""
    written = weights_after(linear, backend, RULES[name])
    native = weights_after(linear, backend, RULES[name], native=True)
    said = registry.resolve(backend).defaults["optimizer"][name]
    assert said == ("written" if np.array_equal(written, native) else "framework")
    np.testing.assert_allclose(native, written, atol=0.1)  # but not something else altogether


def test_decay_apart_from_the_optimizer_is_that_of_the_written_rules(linear, backend):
    """Coupled, as the written SGD; decoupled, as AdamW and Adam."""
    decaying = {"weight_decay": 0.1}
    sgd = Rule("sgd", 0.1, momentum=0.9, **decaying)
    apart = weights_after(linear, backend, sgd, 2, decoupled=False)
    assert np.allclose(apart, weights_after(linear, backend, sgd, 2), atol=1e-6)
    adam = weights_after(linear, backend, Rule("adam", 0.1, **decaying), 2, decoupled=True)
    assert np.allclose(
        adam, weights_after(linear, backend, Rule("adamw", 0.1, **decaying), 2), atol=1e-6
    )
    assert not np.allclose(
        adam, weights_after(linear, backend, Rule("adam", 0.1, **decaying), 2), atol=1e-4
    )


def test_grouped_convolutions_train_as_in_pytorch(spec_file):
    layers = """
    conv: {op: conv, out_channels: 6, kernel_size: [3, 2], stride: 2, padding: [1, 0], groups: 2}
    pool: {op: global_avg_pool}
    flatten: {op: flatten}
    fc: {op: linear, out_features: 3}
    """
    path = spec_file(layers, header="options: {in_channels: 4, input_size: 7, num_classes: 3}\n")
    x = np.random.default_rng(0).standard_normal((4, 4, 7, 7), np.float32)
    found = []
    for backend in ("torch", "keras"):
        loaded, model = load(backend), zoo.build(path, backend)
        trainer = loaded.trainer(model, Plan(Rule("sgd", 0.1)))
        given = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if backend == "keras" else x
        trainer.step([Part(given, np.arange(4) % 3, {})], 0.1)
        found.append(loaded.get_weights(model)["conv.weight"])
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


@pytest.mark.parametrize("size", [(14, 11), (32, 40)])
def test_images_without_antialias_are_resized_as_by_tensorflow(size):
    """To half a level, because the result is rounded."""
    load("keras")
    import tensorflow as tf
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    expected = tf.image.resize(image.astype(np.float32), size, "bilinear", antialias=False)
    fields = of_images.RESIZING["bilinear"]
    found = np.asarray(scaled(Image.fromarray(image), size[::-1], fields))
    assert np.abs(found - expected.numpy()).max() <= 0.51
