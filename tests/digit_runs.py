"""A small network, some digits, and runs of it that were stopped and that were not."""

from __future__ import annotations

import functools
import json
import textwrap

import loading
import numpy as np
import pytest

import zoo
from zoo.training.events import Step

SPEC = """
conv: {op: conv, out_channels: 4, kernel_size: 3, padding: 1, bias: false}
bn: {op: batch_norm, momentum: 0.3}
relu: {op: relu}
pool: {op: max_pool, kernel_size: 2}
dropped: {op: dropout, rate: 0.2}
flatten: {op: flatten}
hidden: {op: linear, out_features: 16}
act: {op: relu}
dropout: {op: dropout, rate: 0.3}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = (
    "options: {num_classes: 10, input_size: 8, in_channels: 1}\noutputs: {logits: {from: fc}}\n"
)
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-3},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
}
#: 20 steps in two epochs; the checkpoint is within the second.
STEPS, STOP = 20, 13
load = functools.partial(loading.load, double=True)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "digit_net.yaml"
    layers = textwrap.indent(SPEC.strip(), "  ")
    path.write_text(f"format: 1\nname: digit_net\n{HEADER}layers:\n{layers}\n")
    return path


@pytest.fixture(scope="module")
def digits():
    """320 digits to train on, and 40 to validate with."""
    whole = zoo.dataset("digits")
    return {
        "x_train": np.stack([whole.train.images[i] for i in range(320)]),
        "y_train": whole.train.labels[:320],
        "x_test": np.stack([whole.validation.images[i] for i in range(40)]),
        "y_test": whole.validation.labels[:40],
    }


def settings(name, **more):
    common = {"epochs": 2, "lr": 0.1, "batch_size": 32, "schedule": "cosine", "warmup": 0.5}
    return common | {"label_smoothing": 0.1, "ema": 0.9} | OPTIMIZERS[name] | more


def stop(event):
    return isinstance(event, Step) and event.step == STOP


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def runs(spec, digits, tmp_path_factory):
    """Runs that were stopped at a step, and those that were not, each once."""
    made = {}

    def run(backend, name, dtype="float64", *, stopped):
        key = backend, name, dtype, stopped
        if key not in made:
            load(backend)
            folder = tmp_path_factory.mktemp("runs") / "run"
            model = zoo.build(spec, backend, dtype=dtype)
            callbacks = [stop] if stopped else []
            zoo.train(model, digits, output=folder, callbacks=callbacks, **settings(name))
            made[key] = folder
        return made[key]

    return run


def copied(folder, tmp_path):
    import shutil

    return shutil.copytree(folder, tmp_path / "copy")
