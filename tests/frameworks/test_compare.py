"""Studies in the frameworks: their defaults, what a switch does, and a study from end to end."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from loading import load

import zoo
from zoo.backend import registry
from zoo.backend.training import Part, Plan, Rule
from zoo.comparing import plan, proof, run, training
from zoo.comparing import study as studies
from zoo.comparing.switches import of_images
from zoo.data.images import scaled

pytestmark = pytest.mark.frameworks

NETWORK = """
conv: {op: conv, out_channels: 6, kernel_size: 3, stride: 2, padding: 1, bias: false}
bn: {op: batch_norm}
relu: {op: relu}
pool: {op: global_avg_pool}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 10, in_channels: 3, input_size: 8}\n"


@pytest.fixture
def network(spec_file):
    return spec_file(NETWORK, header=HEADER, name="studied")


# The frameworks' own defaults


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


# Whose optimizer


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


# Grouped convolutions of Keras


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


# Images


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


# What runs are


def jobs(path, backends=("torch", "paddle"), **fields):
    """Return the jobs of a small study, by backend and whether they are native."""
    for name in backends:
        load(name)
    chosen = {
        "models": path, "data": "digits", "backends": list(backends), "seeds": 1, "epochs": 1,
        "lr": 0.05, "batch_size": 16, "train_images": 64, "validation_images": 32, **fields,
    }  # fmt: skip
    found = {}
    for each in plan.planned(studies.of(chosen))[0].runs:
        found[each.backend, bool(each.condition.native)] = {**each.job, "deterministic": False}
    return found


def test_aligned_runs_have_the_same_batches_and_results(network):
    found = jobs(network, momentum=0.9, switches=["order"])
    torch, paddle = (training.train(found[name, False]) for name in ("torch", "paddle"))
    assert torch["digests"] == paddle["digests"] and len(torch["digests"]) == 4
    assert np.allclose(torch["losses"], paddle["losses"], atol=1e-4)
    again = training.train(found["torch", False])
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in torch.items() if k != "seconds"
    }
    own = training.train(found["torch", True])
    assert own["digests"] != torch["digests"]
    assert torch["stopped"] == "finished" and sum(torch["images"]) == 32


def test_a_run_that_diverges_has_no_result(network):
    found = training.train(jobs(network, lr=1e6, switches=["order"])["torch", False])
    assert found["top1"] is None and "loss is nan" in found["stopped"]
    json.dumps(found, allow_nan=False)


def test_unbiased_running_variances_are_those_of_pytorch(network):
    """PyTorch's own layer, on what the network's batch norm reads."""
    import torch

    job = jobs(network, ("torch", "keras"), switches=["batch_norm_variance"])["torch", True]
    assert job["unbiased"]
    loaded = load("torch")
    loop = training._loop(loaded, job, training._data(job))
    layer, own = loop.model.bn, torch.nn.BatchNorm2d(6)

    def observe(module, inputs):
        if module.training:
            own(inputs[0])

    layer.register_forward_pre_hook(observe)
    for number, batch in enumerate(loop.train.batches(0, 4)):
        loop._update(batch, number)
        loop.state.step = number + 1
    weights = loaded.get_weights(loop.model)
    found = loop._with_unbiased(weights, loop._unbiased)["bn.running_var"]
    np.testing.assert_allclose(found, own.running_var.numpy(), rtol=1e-5)
    assert not np.allclose(weights["bn.running_var"], own.running_var.numpy(), rtol=1e-3)
    loop._evaluate()
    after = loaded.get_weights(loop.model)
    assert all(np.array_equal(after[name], value) for name, value in weights.items())


@pytest.mark.parametrize(
    ("switch", "value", "message"),
    [
        ("padding", "same", "the first node is conv, which differs by .* in the initial model"),
        ("batch_norm_eps", 1e-3, "the first node is bn, which differs by"),
        ("batch_norm_momentum", 0.9, "the first node is bn, whose running_mean .* after step 1"),
        ("decay", "decoupled", "the first node is conv, whose weight differs by .* after step"),
    ],
)
def test_a_proof_stops_at_the_node_that_differs(network, tmp_path, switch, value, message):
    """One framework in two ways, since only what it is told differs."""
    native = {"torch": {switch: value}}
    found = jobs(network, momentum=0.9, weight_decay=0.1, switches=[switch], native=native)
    arrays = {}
    for name, is_native in (("torch", False), ("paddle", True)):
        job = {**found["torch", is_native], "backend": "torch"}
        folder = tmp_path / name
        folder.mkdir()
        training.prove({"jobs": [job], "steps": 3, "folder": str(folder)})
        arrays[name] = dict(np.load(folder / "torch.0.npz"))
    names = [p.name for p in zoo.graph(network).parameters]
    assert proof.compare({"torch": arrays["torch"], "paddle": arrays["torch"]}, names, "n") == (
        3,
        0,
    )
    with pytest.raises(proof.ProofError, match=message):
        proof.compare(arrays, names, "studied")


# A study from end to end


def command(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "zoo", "compare", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options,
    )  # fmt: skip


OPTIONS = (
    "--data", "digits", "--backends", "torch,paddle", "--epochs", 1, "--lr", 0.05, "--momentum",
    0.9, "--train-images", 128, "--validation-images", 50,
)  # fmt: skip


def test_a_study_is_repeated_bit_for_bit_on_a_cluster(network, tmp_path, cluster):
    """Its proof, too, comes from the workers. The two have processes of their own."""
    first = command(
        network, *OPTIONS, "--seeds", 1, "--switches", "optimizer", "--proof-steps", 1,
        "--output", tmp_path / "study",
    )  # fmt: skip
    printed, errors = first.communicate()
    assert first.returncode == 0, errors
    assert "2 runs to train; " in errors and "index.html" in printed
    assert {"run.json", "runs.csv", "index.html"} <= {
        p.name for p in (tmp_path / "study").iterdir()
    }
    again = command(
        "--repeat", tmp_path / "study" / "run.json", "--output", tmp_path / "again",
        "--scheduler", cluster.scheduler_address,
    )  # fmt: skip
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "2 runs to train; 2 at a time" in errors
    assert "all 2 runs are the same, bit for bit" in errors
    kept = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("study", "again")]
    assert kept[0]["runs"] == kept[1]["runs"] and kept[0]["proofs"] == kept[1]["proofs"]
    assert kept[1]["machine"] == {"scheduler": cluster.scheduler_address}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_keeps_its_runs_and_continues(network, tmp_path, number):
    given = (network, *OPTIONS, "--seeds", 3, "--output", tmp_path / "study")
    process = command(*given)
    runs = tmp_path / "study" / "runs"
    while process.poll() is None and not (runs.is_dir() and any(runs.iterdir())):
        time.sleep(0.2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "the same command continues" in errors
    kept = len(list(runs.glob("*.json")))
    assert kept and f"{kept} of " in errors
    process = command(*given)
    _, errors = process.communicate()
    assert process.returncode == 0 and f"{kept} more are there" in errors


@pytest.mark.slow
def test_four_frameworks_are_proven_to_train_alike(network, tmp_path):
    study = studies.of(
        {
            "models": network, "data": "digits", "seeds": 1, "epochs": 1, "lr": 0.05,
            "momentum": 0.9, "weight_decay": 1e-3, "train_images": 256, "switches": ["optimizer"],
        }
    )  # fmt: skip
    done = run.run(study)
    assert done.proofs[0].error < 1e-8 and done.proofs[0].backends == tuple(
        entry.name for entry in study.entries
    )
    assert len({run.digests for run in done.runs}) == 1
