"""The instrument itself: of a difference that was put into it, a study names that one, or none.

A network that knows digits by their shapes and colors learns on, a few images at a time. Besides the
seeded difference, a study always has the order of the images, which is another one in each
framework and so makes them differ, but by chance, and an epsilon that hardly matters.
"""

import colorsys
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from loading import load

import zoo
from zoo.comparing import effects, processes, run, training
from zoo.comparing import study as studies

pytestmark = pytest.mark.frameworks

#: Three layers with a stride, the last of which leaves one pixel: a batch has as many values there
#: as images.
NETWORK = """
format: 1
name: seeded
options: {num_classes: 10, in_channels: 3, input_size: 8}
layers:
  conv1: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: 1, bias: false}
  bn1: {op: batch_norm}
  relu1: {op: relu}
  conv2: {op: conv, out_channels: 16, kernel_size: 3, stride: 2, padding: 1, bias: false}
  bn2: {op: batch_norm}
  relu2: {op: relu}
  conv3: {op: conv, out_channels: 32, kernel_size: 3, stride: 2, padding: 1, bias: false}
  bn3: {op: batch_norm}
  relu3: {op: relu}
  flatten: {op: flatten}
  fc: {op: linear, out_features: $num_classes}
"""
#: What is native in one framework and aligned in the other; and how many seeds show that: where
#: running statistics are those of the last batch, its four images decide.
SEEDED = {
    "batch_norm_momentum": (0.9, 6),
    "batch_norm_variance": ("unbiased", 4),
    "padding": ("same", 4),
    "resize": ("bilinear", 4),
    "channel_order": ("bgr", 4),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The network, digits of 16 x 16 pixels in colors and noise, and weights that know them."""
    folder = tmp_path_factory.mktemp("seeded")
    digits = zoo.dataset("digits")
    colors = np.array([colorsys.hsv_to_rgb(label / 10, 0.8, 1) for label in range(10)])
    random = np.random.default_rng(0)

    def of(part, count):
        gray = part.images[:count].repeat(2, 1).repeat(2, 2)[..., None]
        tint = colors[part.labels[:count]][:, None, None]
        return (15 * gray * tint * random.uniform(0.3, 1, gray.shape)).astype(np.uint8)

    path, images = folder / "seeded.yaml", folder / "colored.npz"
    path.write_text(NETWORK)
    np.savez(
        images,
        x_train=of(digits.train, 600), y_train=digits.train.labels[:600],
        x_test=of(digits.validation, 150), y_test=digits.validation.labels[:150],
    )  # fmt: skip
    load("torch")
    model = zoo.build(path, "torch")
    rule = {"optimizer": "adam", "lr": 0.003, "batch_size": 16}
    trained = zoo.train(model, data=str(images), epochs=4, **rule)
    assert trained.epochs[-1].validation.top1 > 0.6
    zoo.save(trained.model, folder / "weights.safetensors")
    return {
        "models": str(path), "data": str(images), "weights": str(folder / "weights.safetensors"),
        "optimizer": "adam", "lr": 0.0003, "epochs": 1, "batch_size": 4, "train_images": 120,
        "explain": True, "proof_steps": 0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def known():
    """The results of runs, for all studies here."""
    return {}


@pytest.fixture
def train_here(monkeypatch, known):
    """Trains in this process, without deterministic kernels, whose settings would stay.

    If told so, PyTorch stands in for PaddlePaddle: then nothing differs but what is seeded.
    """

    def begin(stand_in):
        def train_one(job):
            told = {**job, "deterministic": False}
            if stand_in:
                told["backend"] = "torch"
            key = json.dumps({n: told[n] for n in told if n not in ("cache", "versions")})
            if key not in known:
                known[key] = training.train(told)
            return known[key]

        monkeypatch.setattr(processes, "train_one", train_one)

    return begin


def explained(given, switches, other, native, **fields):
    """Return what explains the gap in the loss between PyTorch and another framework."""
    biased = {"batch_norm_variance": "biased"} if "batch_norm_variance" in switches else {}
    study = studies.of(
        {
            **given, "backends": ["torch", other], "switches": switches,
            "native": {"torch": biased, other: native}, **fields,
        }
    )  # fmt: skip
    with ThreadPoolExecutor(1) as executor:
        done = run.run(study, executor=executor)
    assert [each.stopped for each in done.failed] == []
    found = effects.explain(done.runs, ["torch", other], switches)
    (of_loss,) = (each for each in found if each.measure == "loss" and each.b)
    assert {each.name for each in of_loss.effects} == set(switches)
    return of_loss


@pytest.mark.parametrize(
    "stand_in", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["torch", "paddle"]
)
@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_difference_is_named(given, train_here, name, stand_in):
    train_here(stand_in)
    if not stand_in:
        load("paddle")
    value, seeds = SEEDED[name]
    native = {name: value, "batch_norm_eps": 1.1e-5}
    found = explained(given, [name, "batch_norm_eps", "order"], "paddle", native, seeds=seeds)
    assert found.largest is not None and found.largest.name == name


def test_without_a_difference_nothing_is_named(given, train_here):
    train_here(stand_in=True)
    switches, native = ["batch_norm_eps", "order"], {"batch_norm_eps": 1.1e-5}
    assert explained(given, switches, "paddle", native, seeds=6).largest is None


def test_the_epsilon_hat_of_keras_is_named(given, train_here, spec_file):
    """Its Adam adds epsilon before it corrects the second moment: in the first steps, 0.1 is up to
    32 times as large.
    """
    train_here(stand_in=False)
    load("keras")
    layers = """
    conv: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: 1, bias: false}
    bn: {op: batch_norm}
    relu: {op: relu}
    flatten: {op: flatten}
    fc: {op: linear, out_features: $num_classes}
    """
    header = "options: {num_classes: 10, in_channels: 3, input_size: 8}\n"
    fields = {
        "models": spec_file(layers, header=header), "weights": None, "eps": 0.1, "lr": 0.03,
        "batch_size": 8, "epochs": 2,
    }  # fmt: skip
    found = explained(given, ["optimizer", "order"], "keras", {}, seeds=3, **fields)
    assert found.largest is not None and found.largest.name == "optimizer"
