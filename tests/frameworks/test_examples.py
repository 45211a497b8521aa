"""The examples of the documentation run as they stand."""

import doctest
import importlib
import os
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
from zoo.weights import published_files

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
        # Four processes, as in the studies of test_compare.
        pytest.param("zoo.views.study.compare", marks=pytest.mark.slow),
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
    _, first = blocks("README.md", "python")  # after the source code that zoo writes
    names = {"x": np.zeros((1, 3, 224, 224), np.float32)}
    exec(first, names)
    weights = zoo.get_weights(names["model"])
    assert all(
        np.array_equal(value, weights[name])
        for name, value in zoo.get_weights(names["other"]).items()
    )
    _, functions = blocks("docs/start.md", "python")
    outside = ("my.yaml", "images")  # of the reader's own
    built = functions.splitlines()[2:]  # from what README's lines have built
    exec("\n".join(line for line in built if not any(word in line for word in outside)), names)


def test_the_first_lines_of_the_documentation(tmp_path, monkeypatch):
    for backend in ("torch", "paddle", "flax"):
        load(backend)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(blocks("docs/start.md", "python")[0], names)
    assert zoo.graph_of(names["other"]).name == "lenet5"


def test_published_weights(tmp_path, monkeypatch):
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
    monkeypatch.setattr(
        published_files, "fetch", lambda _, network, *tag: tmp_path / f"{network}.pth"
    )
    names = {"zoo": zoo}
    exec(blocks("docs/weights.md", "python")[0], names)
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


@pytest.mark.parametrize(
    "framework",
    ["numpy", *(pytest.param(name, marks=pytest.mark.slow) for name in ("torch", "tensorflow"))],
)
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


def test_the_lines_of_training(tmp_path, monkeypatch, command):
    """Two epochs in one framework, two in another, a program, a prediction; on the digits."""
    pages = [(ROOT / page).read_text() for page in ("README.md", "docs/training.md")]
    text, other = (page.partition("<!-- train -->\n```\n")[2] for page in pages)
    assert text.partition("```")[0] == other.partition("```")[0]
    lines = text.partition("```")[0].replace("fashion-mnist", "digits").splitlines()
    assert len(lines) == 4
    digit = zoo.dataset("digits").validation
    Image.fromarray(digit.images[0]).resize((80, 80)).save(tmp_path / "shirt.png")
    for backend in ("torch", "flax", "onnx"):
        load(backend)
    monkeypatch.chdir(tmp_path)
    for line in lines:
        status, told, wrong = command(*line.split()[1:])
        assert status == 0, f"{line}\n{told}\n{wrong}"
    rows = [row.split() for row in told.splitlines()]
    ranked = [row[1] for row in rows if len(row) == 4 and row[0].isdecimal()]
    assert ranked[0] == str(digit.labels[0])
    assert (tmp_path / "run1" / "run.html").is_file()
    assert "prefers-color-scheme: dark" in (tmp_path / "run1" / "curves.svg").read_text()


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


def test_the_language_references_small_example(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(blocks("spec/README.md", "yaml")[0])
    text = (ROOT / "spec" / "README.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("zoo ")]
    assert len(lines) == 3
    for line in lines:  # onnx starts soonest
        few = ["--backends", "onnx"] if "verify" in line else []
        status, told, wrong = command(*line.split()[1:], *few)
        assert status == 0, f"{line}\n{told}\n{wrong}"
        assert "verify" not in line or "PASS" in told


def test_contributings_three_layers(tmp_path):
    (text,) = blocks("CONTRIBUTING.md", "yaml")
    path = tmp_path / "three.yaml"
    path.write_text(textwrap.dedent(text))
    report = zoo.verify(str(path), backends=["onnx"])  # the others take long to start
    assert report.passed, str(report)


#: Pages whose examples have prompts and results.
PAGES = (
    *("tutorials/researcher", "tutorials/teacher", "tutorials/engineer"),
    *("own-network", "assert-same", "fine-tuning", "devices", "design"),
)


def fenced(page: str) -> list[tuple[str, str]]:
    """The blocks of a page, each with its language."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # of torch.onnx's own parts
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page == PAGES[0])) for page in PAGES]
)  # the first trains in two frameworks
def test_examples_with_results(page, tmp_path, monkeypatch):
    """A page's YAML is saved under the name in its first line; its Python gives what it shows."""
    for backend in ("torch", "paddle", "flax"):
        load(backend)
    monkeypatch.chdir(tmp_path)
    parser, names = doctest.DocTestParser(), {}
    runner = doctest.DocTestRunner()
    for language, code in fenced(page):
        if language == "yaml":
            Path(code.partition("\n")[0].removeprefix("# ")).write_text(code)
        if language == "python" and code.startswith(">>>"):
            test = parser.get_doctest(code, names, page, page, 0)
            runner.run(test, clear_globs=False)
            names = test.globs
    assert runner.tries and not runner.failures


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(("tut", "own"))])
def test_commands_of_pages(page, tmp_path, monkeypatch):
    for backend in ("torch", "paddle", "flax", "keras"):
        load(backend)
    test_examples_with_results(page, tmp_path, monkeypatch)  # leaves the files that they read
    bare = "".join(code for language, code in fenced(page) if not language)
    commands = [line for line in bare.splitlines() if line.startswith("zoo ")]
    assert commands
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            capture_output=True,
            text=True,
            timeout=HANG,
            cwd=tmp_path,
        )
        diverges = command.endswith("_paddle")  # as the tutorial explains
        assert done.returncode == diverges, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_verification_that_the_documentation_shows():
    for backend in ("torch", "paddle", "flax", "keras", "onnx"):
        load(backend)
    text = (
        (ROOT / "docs" / "verification.md").read_text().partition("<!-- verified -->\n```\n$ ")[2]
    )
    command, *shown = text.partition("```")[0].splitlines()
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "COLUMNS": "120"},
    )
    printed = done.stdout.splitlines()
    assert shown[-1] in printed
    for line in shown[2:-2]:  # errors depend on the processor, but not that they are rounding
        row = next(row for row in printed if row.split()[:3] == line.split()[:3])
        assert float(line.split()[4]) < 1e-13 and float(row.split()[4]) < 1e-13


def test_the_tables_of_the_documentation_are_generated():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"], timeout=HANG
    )
    assert done.returncode == 0, "run python docs/tables.py"
