"""Verification end to end: it passes where it should, and fails where it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from limits import HANG
from loading import load
from small import VGG, VGG_BN
from verifying import InThisProcess

import zoo
import zoo.verification.verify
from zoo.backend import registry
from zoo.errors import InputError, UnknownNameError
from zoo.verification import comparison
from zoo.verification.conditioned_weights import conditioned

BACKENDS = ("torch", "paddle", "keras", "flax", "onnx")


@pytest.fixture
def here(monkeypatch):
    """No other process, whose imports take far longer than a small model."""
    for backend in BACKENDS:
        load(backend, double=True)
    monkeypatch.setattr(zoo.verification.verify, "Workers", InThisProcess)


@pytest.fixture(scope="module")
def report():
    return zoo.verify("googlenet", aux=True)


def test_googlenet_with_heads_passes_in_all_backends(report):
    assert report.passed, str(report)
    assert [result.backend for result in report.compared] == list(BACKENDS)
    assert len(report.pairs) == 10
    for result in report.results:
        assert result.parameters == {"plain": 6_998_552, "aux": 13_378_280}
        assert result.worst.error <= 1e-5
        assert result.top5 == report.top5
        assert result.output_shapes == {name: [1, 1000] for name in ("logits", "aux1", "aux2")}


def test_the_report_prints_and_goes_to_json(report):
    text = str(report)
    for word in (
        "PASS",
        "PyTorch",
        "PaddlePaddle",
        "Keras 3",
        "Flax NNX",
        "ONNX",
        "13,378,280",
        "torch - flax",
    ):
        assert word in text
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["passed"] is True
    assert found["results"][0]["worst"]["node"]
    assert repr(report) == text, "a REPL shows it, too"
    assert "13,378,280" in report._repr_html_(), "and a notebook"


def test_no_time_and_no_memory_is_shown_without_a_benchmark(report):
    """What is run here is not comparable: eager beside compiled, and every node is read."""
    words = (str(report) + report.to_html()).lower()
    for word in ("first run", "peak memory", "mib", "build time"):
        assert word not in words
    fields = set(report.to_dict()["results"][0])
    assert not [name for name in fields if name.endswith(("_s", "_mib", "seconds"))]


def test_float64_on_the_command_line(tmp_path):
    path = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "verify", VGG_BN, "--backends", "onnx",
         "--dtype", "float64", "--output", str(path), "--json"],
        capture_output=True, text=True, timeout=HANG, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(path.read_text())
    assert found["tolerance"] == 1e-12
    assert all(r["worst"]["error"] <= 1e-12 for r in found["results"])
    assert not list(tmp_path.glob(".*")), "nothing half-written is left"


def test_a_users_own_yaml(spec_file, here):
    path = spec_file(
        """
        conv: {op: conv, out_channels: 4, kernel_size: 3, padding: 1}
        relu: {op: relu}
        pool: {op: max_pool, kernel_size: 2}
        flatten: {op: flatten}
        fc: {op: linear, out_features: $num_classes}
        """,
        header="options: {num_classes: 5, input_size: 16}\n",
    )
    messages = []
    report = zoo.verify(path, backends=["torch", "jax"], progress=messages.append)
    assert report.passed, str(report)
    assert [r.parameters for r in report.results] == [{"plain": 4 * 27 + 4 + 256 * 5 + 5}] * 2
    assert messages == [  # one plain line a step
        "Computing the NumPy reference in float64",
        "Running PyTorch (1 of 2)",
        "Running Flax NNX (2 of 2)",
        "Comparing every node",
    ]


def test_a_network_that_differs_fails_and_the_node_is_named(monkeypatch, here):
    """A ReLU is left out at one node, as if the builder had forgotten it."""
    from torch import nn

    from zoo.torch.operations import OPERATIONS

    right = OPERATIONS["relu"]

    def forgetful(node, factory):
        return nn.Identity() if node.name == "stage2.conv1.relu" else right(node, factory)

    monkeypatch.setitem(OPERATIONS, "relu", forgetful)
    report = zoo.verify(VGG, backends=["torch"])
    assert not report.passed
    (result,) = report.results
    assert result.worst.error > 0.01
    assert "FAIL" in str(report)
    assert "PyTorch compared with the NumPy reference only" in " ".join(str(report).split())
    assert "PyTorch compared with the NumPy reference only" in report.to_html()
    assert "above 1.0e-05" in result.problems[0]


def test_a_worker_that_dies_is_a_row_and_fails(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, os\nif sys.orig_argv[-1] == 'torch': os.kill(os.getpid(), 9)\n"
        "if sys.orig_argv[-1] == 'flax': raise SystemExit('no memory')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = zoo.verify(VGG, backends=["torch", "flax"])
    assert not report.passed
    assert [r.status for r in report.results] == ["failed", "failed"]
    assert report.results[0].problems == (
        "its process was killed by signal 9, perhaps because memory ran out",
    )
    assert "no memory" in report.results[1].problems[0]


def test_a_missing_framework_is_a_row_and_fails_only_if_asked_for(monkeypatch):
    there = registry.is_installed
    monkeypatch.setattr(registry, "is_installed", lambda e: e.name == "onnx" and there(e))
    report = zoo.verify(VGG)
    assert report.passed
    assert [r.status for r in report.results] == [*["missing"] * 4, "compared"]
    assert "not installed" in str(report)
    asked = zoo.verify(VGG, backends=["onnx", "flax"])
    assert not asked.passed
    assert asked.results[1].problems == ("not installed: python -m pip install 'polyzoo[flax]'",)
    monkeypatch.setattr(registry, "is_installed", lambda e: False)
    assert not zoo.verify(VGG, backends="onnx").passed, "nothing compared is nothing shown"
    with pytest.raises(zoo.BackendError, match=r"no framework is installed: .*'polyzoo\[torch\]'"):
        zoo.verify(VGG)


def test_errors_are_relative_to_the_node_and_never_pass_by_accident():
    a = np.array([1.0, -4.0])
    assert comparison.error(a, a) == 0
    assert comparison.error(np.array([1.0, -3.0]), a) == 0.25
    assert comparison.error(np.array([np.nan, 1]), a) == float("inf")
    assert comparison.error(np.array([np.inf, 1]), a) == float("inf")
    assert comparison.error(a[:1], a) == float("inf")
    assert comparison.error(np.zeros(2) + 1e-9, np.zeros(2)) == 1e-9


def test_conditioned_weights_exercise_everything():
    graph = zoo.graph("vgg9_bn", input_size=64)
    x = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    weights, values = conditioned(graph, x)
    assert set(weights) == {p.name for p in graph.parameters}
    assert set(values) == {node.name for node in graph.nodes}
    for name, value in weights.items():
        assert value.dtype == np.float32
        assert value.std() > 0, f"{name} would hide a mistake"
    for name, value in values.items():
        assert 1e-3 < np.abs(value).max() < 1e3, f"{name} vanishes or explodes"
    again, _ = conditioned(graph, x)
    assert all(np.array_equal(value, again[name]) for name, value in weights.items())


def test_predict_on_the_command_line(command):
    path, tops = os.path.join(os.path.dirname(zoo.__file__), "data", "chelsea.jpg"), []
    for backend in ("torch", "jax"):
        load(backend)
        arguments = ["--model", VGG, "--backend", backend, "--json", "--top", "3"]
        status, told, wrong = command("predict", path, *arguments)
        assert status == 0, wrong
        tops.append([row["class"] for row in json.loads(told)["top"]])
    assert tops[0] == tops[1]
    assert len(tops[0]) == 3


def test_any_file_name_and_a_map_for_output(tmp_path, here):
    path = tmp_path / "a [bold]net.txt"
    path.write_text("format: 1\nname: n\noptions: {input_size: 8}\nlayers: {r: {op: relu}}\n")
    report = zoo.verify(path, backends="onnx")
    assert report.passed, str(report)


def test_a_place_for_the_result_that_cannot_be_is_refused_at_once(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for place in (".", "", "missing/x.json"):
        status, _, told = command("verify", "vgg9", "--output", place)
        assert status == 2, place
        assert "error: --output:" in told


def test_tensorflow_by_name_is_insisted_on(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (result,) = zoo.verify(VGG, backends=["tensorflow"]).results
    assert "Keras runs on jax here" in result.problems[0]
    report = zoo.verify(VGG, backends=["keras"])
    assert report.passed, str(report)
    assert set(report.results[0].versions) == {"keras", "jax"}


SMALL_DIGITS = "options: {num_classes: 10, input_size: 24}\n"
LAYERS = """
conv: {op: conv, out_channels: 6, kernel_size: 3, stride: 2}
bn: {op: batch_norm}
relu: {op: relu}
pool: {op: avg_pool, kernel_size: 3, stride: 2}
flatten: {op: flatten}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""


def test_training_agrees_and_is_reported(spec_file, here):
    path = spec_file(LAYERS, header=SMALL_DIGITS)
    graph = zoo.graph(path)
    report = zoo.verify(graph, level="training")
    assert report.passed, str(report)
    assert not report.command, "no command line verifies a graph"
    found = report.training
    assert (found.steps, found.batch, found.input_size) == (10, 4, (24, 24))
    assert found.rates == {"SGD": 0.01, "Adam": 0.001}
    assert len(found.pairs) == 6
    for pair in found.pairs:
        assert pair.gradients.error <= 1e-10
        assert set(pair.rules) == {"SGD", "Adam"}
        assert max(worst.error for worst in pair.rules.values()) <= 1e-8
    assert all(len(losses["SGD"]) == 10 for losses in found.losses.values())
    assert all(0 < drift[-1] < 1e-2 for drift in found.drift.values())
    text = str(report)
    assert "10 steps of SGD (0.01) and Adam (0.001)" in text
    assert "float32 compared with float64 after 10 steps" in text
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["training"]["steps"] == 10


def test_a_wrong_gradient_is_found(spec_file, monkeypatch, here):
    """A backend whose loss is off by a thousandth fails, and its parameter is named."""
    from zoo.torch import train

    right = train.cross_entropy
    monkeypatch.setattr(train, "cross_entropy", lambda *given: 1.001 * right(*given))
    graph = zoo.graph(spec_file(LAYERS, header=SMALL_DIGITS))
    report = zoo.verify(graph, level="gradients", backends=["torch", "flax"])
    assert not report.passed
    assert any("torch - flax: gradient of " in problem for problem in report.training.problems)
    assert all(not result.problems for result in report.results), "forward nothing is wrong"


def test_a_level_there_is_not():
    with pytest.raises(
        UnknownNameError, match="unknown level 'gradient'. Did you mean 'gradients'"
    ):
        zoo.verify("vgg9", level="gradient")


def test_workers_are_given_the_graph(spec_file, monkeypatch):
    """The file may change or disappear once its graph is made."""
    path = spec_file(LAYERS, header=SMALL_DIGITS)
    right = zoo.verification.verify.Case.prepare

    def remove(*arguments, **options):
        os.unlink(path)
        return right(*arguments, **options)

    monkeypatch.setattr(zoo.verification.verify.Case, "prepare", remove)
    report = zoo.verify(path, backends=["torch"])
    assert report.passed, str(report)


def test_values_beyond_float32_are_refused_and_not_passed(spec_file, here):
    path = spec_file(
        "a: {op: conv, out_channels: 4, kernel_size: 3}\n"
        "b: {op: scale, factor: 1000000.0, repeat: 8}\n"
        "flatten: {op: flatten}\nfc: {op: linear, out_features: 3}",
        header="options: {input_size: 8}\n",
    )
    with pytest.raises(InputError, match="overflow float32, even in NumPy; verify it in float64"):
        zoo.verify(path, backends=["onnx"])
    assert zoo.verify(path, backends=["onnx"], dtype="float64").passed


KILLED = """
import os, signal, sys, zoo
def kill(message):
    if message.startswith("Comparing"):
        os.kill(os.getpid(), signal.SIGKILL)
zoo.verify("lenet5", backends="onnx", progress=kill)
"""


def test_what_a_killed_run_leaves_is_removed_by_the_next(tmp_path, monkeypatch):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = [sys.executable, "-c", KILLED]
    done = subprocess.run(run, env=environment, capture_output=True, timeout=HANG)
    assert done.returncode == -9, done.stderr
    (folder,) = tmp_path.glob("zoo-verify-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert zoo.verify("lenet5", backends="onnx").passed
    assert not list(tmp_path.iterdir())


def test_onnx_is_compared_in_inference_only(spec_file, here):
    """A column at every level, which takes no part in what a level adds."""
    path = spec_file("conv: {op: conv, out_channels: 3, kernel_size: 3}\nflatten: {op: flatten}\nfc: {op: linear, out_features: 4}", header="options: {input_size: 8}\n")  # fmt: skip
    report = zoo.verify(path, backends=["torch", "onnx", "flax"], level="training")
    assert report.passed, str(report)
    assert [result.backend for result in report.compared] == ["torch", "onnx", "flax"]
    assert len(report.pairs) == 3 and len(report.training.pairs) == 1
    assert report.notes == (
        "ONNX is compared in inference only; it takes no part in level 'training'",
    )
    assert "inference only" in str(report) and "inference only" in report.to_html()
    with pytest.raises(InputError, match="onnx takes no part in it, which leaves only torch"):
        zoo.verify(path, backends=["torch", "onnx"], level="gradients")
    with pytest.raises(InputError, match="onnx takes no part in it, which leaves none"):
        zoo.verify(path, backends=["onnx"], level="full")


def test_onnx_is_a_default_where_what_runs_it_is_installed(monkeypatch):
    assert "onnx" in zoo.list_backends()
    assert zoo.list_backends()[0] != "onnx", "zoo predict takes the first"
    right = registry.is_importable
    monkeypatch.setattr(registry, "is_importable", lambda m: m != "onnxruntime" and right(m))
    assert "onnx" not in zoo.list_backends()
