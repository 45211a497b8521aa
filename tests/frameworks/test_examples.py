"""The examples of the documentation run as they stand."""

import doctest
import importlib
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from limits import HANG
from loading import load
from PIL import Image

import zoo
from zoo.data import images
from zoo.training import recipe as recipes
from zoo.weights import cache

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "module",
    [
        *("zoo", "zoo.api.models", "zoo.api.preprocessing", "zoo.api.running", "zoo.api.storage"),
        *("zoo.api.conversion", "zoo.api.heads", "zoo.api.networks", "zoo.api.listing"),
        *("zoo.api.optimizers", "zoo.training.train", "zoo.training.tensorboard"),
        "zoo.views.benchmark.bench",
        "zoo.views.curves.draw",
        *("zoo.exporting.export", "zoo.testing", "zoo.verification.verify"),
    ],
)
def test_docstrings(module):
    load("torch")  # the framework that the examples take
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def blocks(path: str, language: str = "") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / path).read_text(), re.DOTALL)


def test_the_readmes_first_lines(tmp_path, monkeypatch):
    for backend in ("torch", "paddle", "flax"):
        load(backend)
    monkeypatch.chdir(tmp_path)
    first, second, _ = blocks("README.md", "python")
    names = {"x": np.zeros((1, 3, 224, 224), np.float32)}
    exec(first, names)
    weights = zoo.get_weights(names["model"])
    assert all(
        np.array_equal(value, weights[name])
        for name, value in zoo.get_weights(names["other"]).items()
    )
    outside = ("my.yaml", "images")  # of the reader's own
    own = [line for line in second.splitlines() if not any(word in line for word in outside)]
    exec("\n".join(own[1:] if own[0] == "import zoo" else own), names)


def test_the_readmes_published_weights(tmp_path, monkeypatch):
    """With files from the publishers' own code, and their stand-in, in place of downloads."""
    for backend in ("torch", "paddle", "flax", "keras"):
        load(backend)
    import paddle
    import torch
    from standins import compact_in_torch
    from standins.in_torch import GoogLeNet

    monkeypatch.chdir(tmp_path)
    paddle.save(paddle.vision.models.googlenet().state_dict(), "GoogLeNet_pretrained.pdparams")
    torch.save(GoogLeNet().state_dict(), "googlenet_torchvision.pth")
    torch.save(compact_in_torch.make("mobilenet_v2", 1000).state_dict(), "mobilenet_v2.pth")
    for name in ("photo.jpg", "other.png"):  # Pillow reads what is in a file, not its name
        shutil.copy(images.default(), name)
    monkeypatch.setattr(cache, "fetch", lambda _, network, *tag: tmp_path / f"{network}.pth")
    names = {"zoo": zoo}
    exec(blocks("README.md", "python")[2], names)
    assert zoo.predict(names["model"], names["x"]).shape == (2, 10)
    last = names["transform"]("photo.jpg").transpose(2, 0, 1)  # of a model in Flax
    assert np.array_equal(last, names["x"][0])


@pytest.mark.filterwarnings("ignore")  # PyTorch's exporter warns of itself
def test_the_files_of_other_tools(capsys):
    load("torch")
    load("onnx")
    exported, of_training = blocks("docs/files.md", "python")
    for code in (exported, of_training):
        exec(code, {})
        assert capsys.readouterr().out.strip() == code.strip().splitlines()[-1].removeprefix("# ")


@pytest.mark.parametrize("framework", ["torch", "tensorflow", "numpy"])
def test_the_pipelines_of_photographs(framework, tmp_path):
    """Each in a process of its own, because PyTorch's loader forks one in which JAX may run."""
    load({"tensorflow": "keras", "numpy": "flax"}.get(framework, framework))
    for name in ("cat.jpg", "dog.png"):
        shutil.copy(images.default(), tmp_path / name)
    first, *pipelines = blocks("docs/images.md", "python")
    (code,) = [code for code in pipelines if f"import {framework}" in code]
    if framework == "torch":
        code = first + code
    if framework == "tensorflow":
        code += "x = next(iter(batches))[0].numpy()\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "import numpy\nnumpy.save('x.npy', x)"],
        capture_output=True,
        text=True,
        timeout=HANG,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    x = np.load(tmp_path / "x.npy")
    expected = zoo.preprocess([images.default()] * 2, "nin_cifar10")
    assert np.array_equal(x, expected if framework == "torch" else expected.transpose(0, 2, 3, 1))


def test_the_batches_of_the_digits():
    load("torch")
    first, second = blocks("docs/data.md", "python")
    names = {}
    exec(f"{first}\n{second}".replace("range(2)", "range(1)"), names)
    assert names["x"].shape == (64, 1, 32, 32)


def test_the_readmes_lines_of_training(tmp_path):
    """Two epochs in one framework, two in another, a program, a prediction; on the digits."""
    text = (ROOT / "README.md").read_text().partition("<!-- train -->\n```\n")[2]
    lines = text.partition("```")[0].replace("fashion-mnist", "digits").splitlines()
    assert len(lines) == 4
    digit = zoo.dataset("digits").validation
    Image.fromarray(digit.images[0]).resize((80, 80)).save(tmp_path / "shirt.png")
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", *line.split()],
            capture_output=True,
            text=True,
            timeout=HANG,
            cwd=tmp_path,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    rows = [row.split() for row in done.stdout.splitlines()]
    ranked = [row[1] for row in rows if len(row) == 4 and row[0].isdecimal()]
    assert ranked[0] == str(digit.labels[0])
    assert (tmp_path / "run1" / "run.html").is_file()


@pytest.mark.slow
def test_the_examples_of_training(monkeypatch, tmp_path):
    for framework in ("torch", "keras", "flax"):
        load(framework)
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in blocks("docs/training.md", "python"):
        exec(code, names)
    assert names["run"].step == 75
    (recipe,) = blocks("docs/training.md", "yaml")
    (tmp_path / "recipe.yaml").write_text(recipe)
    assert recipes.of({}, tmp_path / "recipe.yaml").rule().momentum == 0.9


def test_the_language_references_small_example(tmp_path):
    (tmp_path / "tiny.yaml").write_text(blocks("spec/README.md", "yaml")[0])
    text = (ROOT / "spec" / "README.md").read_text()
    commands = [line for line in text.splitlines() if line.startswith("zoo ")]
    assert len(commands) == 3
    for command in commands:
        few = (
            ["--backends", "torch"] if "verify" in command else []
        )  # the others take long to start
        done = subprocess.run(
            [sys.executable, "-m", *command.split(), *few],
            capture_output=True,
            text=True,
            timeout=HANG,
            cwd=tmp_path,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "verify" not in command or "PASS" in done.stdout


def test_contributings_three_layers(tmp_path):
    (text,) = blocks("CONTRIBUTING.md", "yaml")
    path = tmp_path / "three.yaml"
    path.write_text(textwrap.dedent(text))
    report = zoo.verify(str(path), backends=["torch", "onnx"])  # the others take long to start
    assert report.passed, str(report)


def test_the_readmes_tables_are_generated():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"], timeout=HANG
    )
    assert done.returncode == 0, "run python docs/tables.py"
