"""The main job, end to end: the proof passes where it should, and fails where it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.errors import UnknownNameError
from zoo.verification import comparison
from zoo.verification.conditioned import conditioned
from zoo.verification.terminal import KINDS

BACKENDS = ("torch", "paddle", "keras", "flax")


@pytest.fixture(scope="module")
def report():
    return zoo.verify("googlenet", aux=True)


def test_googlenet_with_heads_passes_in_all_four(report):
    assert report.passed, str(report)
    assert [result.backend for result in report.compared] == list(BACKENDS)
    assert len(report.pairs) == 6
    for result in report.results:
        assert result.parameters == {"plain": 6_998_552, "aux": 13_378_280}
        assert result.worst.error <= 1e-5
        assert result.top5 == report.top5
        assert result.output_shapes == {name: [1, 1000] for name in ("logits", "aux1", "aux2")}
        assert result.build_s > 0
        assert result.run_s > 0
        assert result.peak_memory_mib > 50


def test_the_report_prints_and_goes_to_json(report):
    text = str(report)
    for word in (
        "PASS",
        "PyTorch",
        "PaddlePaddle",
        "Keras 3",
        "Flax NNX",
        "13,378,280",
        "torch - flax",
    ):
        assert word in text
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["passed"] is True
    assert found["results"][0]["worst"]["node"]


def test_float64_on_the_command_line(tmp_path):
    path = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "verify", "vgg9_bn", "--input-size", "32", "--num-classes", "7",
         "--dtype", "float64", "--output", str(path), "--json"],
        capture_output=True, text=True, timeout=600, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(path.read_text())
    assert found["tolerance"] == 1e-12
    assert all(r["worst"]["error"] <= 1e-12 for r in found["results"])
    assert not list(tmp_path.glob(".*")), "nothing half-written is left"


def test_a_users_own_yaml(spec_file):
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
    report = zoo.verify(path, backends=["torch", "jax"])
    assert report.passed, str(report)
    assert [r.parameters for r in report.results] == [{"plain": 4 * 27 + 4 + 256 * 5 + 5}] * 2


def test_a_network_that_differs_fails_and_the_node_is_named(monkeypatch, tmp_path):
    """A worker whose ReLU is left out at one node, as if its builder had forgotten it."""
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "from zoo.torch import operations\n"
        "from torch import nn\n"
        "right = operations.OPERATIONS['relu']\n"
        "operations.OPERATIONS['relu'] = lambda node, dtype: nn.Identity() if node.name == "
        "'stage2.conv1.relu' else right(node, dtype)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = zoo.verify("vgg9", backends=["torch"], input_size=32, num_classes=7)
    assert not report.passed
    (result,) = report.results
    assert result.worst.error > 0.01
    assert "FAIL" in str(report)
    assert "above 1.0e-05" in result.problems[0]


def test_a_worker_that_dies_is_a_row_and_fails(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, os\nif sys.orig_argv[-1] == 'torch': os.kill(os.getpid(), 9)\n"
        "if sys.orig_argv[-1] == 'flax': raise SystemExit('no memory')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = zoo.verify("vgg9", backends=["torch", "flax"], input_size=32, num_classes=7)
    assert not report.passed
    assert [r.status for r in report.results] == ["failed", "failed"]
    assert report.results[0].problems == (
        "the worker died of signal 9, as the system does when memory runs out",
    )
    assert "no memory" in report.results[1].problems[0]


def test_a_missing_framework_is_a_row_and_fails_only_if_asked_for(monkeypatch):
    there = registry.is_installed
    monkeypatch.setattr(registry, "is_installed", lambda e: e.name == "torch" and there(e))
    options = {"input_size": 32, "num_classes": 7}
    report = zoo.verify("vgg9", **options)
    assert report.passed
    assert [r.status for r in report.results] == ["compared", "missing", "missing", "missing"]
    assert "not installed" in str(report)
    assert not zoo.verify("vgg9", backends=["torch", "flax"], **options).passed
    monkeypatch.setattr(registry, "is_installed", lambda e: False)
    assert not zoo.verify("vgg9", **options).passed, "nothing compared is nothing shown"


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


def test_predict_on_the_command_line():
    path = os.path.join(os.path.dirname(zoo.__file__), "data", "chelsea.jpg")
    tops = []
    for backend in ("torch", "jax"):
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "predict", path, "--model", "vgg9", "--input-size", "64",
             "--backend", backend, "--json", "--top", "3"],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        tops.append([row["class"] for row in json.loads(done.stdout)["top"]])
    assert tops[0] == tops[1]
    assert len(tops[0]) == 3


def test_any_file_name_and_a_map_for_output(tmp_path):
    path = tmp_path / "a [bold]net.txt"
    path.write_text("format: 1\nname: n\noptions: {input_size: 8}\nlayers: {r: {op: relu}}\n")
    report = zoo.verify(path, backends="torch")
    assert report.passed, str(report)


def test_a_place_for_the_result_that_cannot_be_is_refused_at_once(tmp_path):
    for place in (".", "", "missing/x.json"):
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "verify", "vgg9", "--output", place],
            capture_output=True, text=True, timeout=60, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 2, place
        assert "error: --output:" in done.stderr
        assert "Traceback" not in done.stderr


def test_tensorflow_by_name_is_insisted_on(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    options = {"input_size": 32, "num_classes": 3}
    (result,) = zoo.verify("vgg9", backends=["tensorflow"], **options).results
    assert "Keras runs on jax here" in result.problems[0]
    report = zoo.verify("vgg9", backends=["keras"], **options)
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


def test_training_agrees_and_is_told_of(spec_file):
    path = spec_file(LAYERS, header=SMALL_DIGITS)
    report = zoo.verify(path, level="training")
    assert report.passed, str(report)
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
    assert "float32 from float64 after 10 steps" in text
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["training"]["steps"] == 10


def test_a_wrong_gradient_is_found(spec_file, monkeypatch, tmp_path):
    """A backend whose loss is off by a thousandth fails, and its parameter is named."""
    path = spec_file(LAYERS, header=SMALL_DIGITS)
    (tmp_path / "shim").mkdir()
    (tmp_path / "shim" / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'zoo.verification.worker' in ' '.join(sys.orig_argv) and 'torch' in sys.orig_argv:\n"
        "    import zoo.torch.train as t\n"
        "    right = t.cross_entropy\n"
        "    t.cross_entropy = lambda logits, labels, weight=1.0: 1.001 * right(logits, labels, weight)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shim"))
    report = zoo.verify(path, level="gradients", backends=["torch", "flax"])
    assert not report.passed
    assert any("torch - flax: gradient of " in problem for problem in report.training.problems)
    assert all(not result.problems for result in report.results), "forward nothing is wrong"


def test_a_level_there_is_not():
    with pytest.raises(
        UnknownNameError, match="Unknown level 'gradient' to verify. Did you mean 'gradients'"
    ):
        zoo.verify("vgg9", level="gradient")


EVERYTHING = """
conv: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: same}
ln: {op: layer_norm, eps: 1e-6}
relu6: {op: relu6}
tanh: {op: tanh}
hard: {op: hard_swish}
silu: {op: silu}
gelu: {op: gelu}
squeeze: {layers: {pool: {op: global_avg_pool}, fc: {op: conv, out_channels: 8, kernel_size: 1}, gate: {op: hard_sigmoid}}}
gate: {from: squeeze, op: sigmoid}
excite: {op: multiply, from: [gelu, gate]}
layer_scale: {op: affine, shift: false, scale_init: 0.5}
depth: {op: stochastic_depth, rate: 0.3}
sum: {op: add, from: [depth, gelu]}
one: {op: slice, start: 2, stop: 6}
other: {op: select, from: sum, channels: [7, 0, 0, 3]}
concat: {op: concat, from: [one, other]}
shuffle: {op: channel_shuffle, groups: 2}
pad: {op: pad_channels, padding: [1, 3]}
bn: {op: batch_norm}
lrn: {op: lrn, size: 3, alpha: 0.1}
affine: {op: affine}
max: {op: max_pool, kernel_size: 3, stride: 1}
avg: {op: avg_pool, kernel_size: 2, stride: 2, padding: 1, count_include_pad: false}
adaptive: {op: adaptive_avg_pool, output_size: 3}
factor: {op: scale, factor: 0.3}
flatten: {op: flatten}
relu: {op: relu}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""


def test_the_whole_proof_of_every_operation(spec_file):
    path = spec_file(EVERYTHING, header="options: {num_classes: 10, input_size: 25}\n")
    assert {node.op for node in zoo.graph(path).nodes} == set(ops.OPS)
    report = zoo.verify(path, level="full")
    assert report.passed, str(report)
    rows = {kind: {c.what for c in report.checks if c.kind == kind} for kind in KINDS}
    assert rows["size"] == {
        "batch 5 of 1x32x44, 7 classes",
        "batch 1 of 4x38x28, 13 classes",
        "batch 2 of 2x25x25, 2 classes",
    }
    assert rows["form"] == {"eager", "torch.compile", "to_static", "tf.function", "nnx.jit"}
    assert rows["precision"] == {"float32", "bfloat16", "float16"}
    assert rows["engine"] == {"keras on jax", "keras on torch"}
    assert rows["optimizer"] == {
        f"{rule}, {steps}" for rule in ("SGD", "Adam") for steps in ("1 step", "10 steps")
    }
    for check in report.checks:
        if check.kind == "precision" and check.backend == "paddle" and check.what != "float32":
            assert f"PaddlePaddle has no {check.what} kernel for the operation" in check.note
            assert check.note.endswith("on this machine")
            assert "float64, float32" in check.detail, "what Paddle said goes to JSON"
            assert check.detail not in str(report)
        else:
            assert check.error is not None, check
        if check.kind == "optimizer" and (check.backend, check.what[:4]) == ("keras", "Adam"):
            assert "epsilon" in check.note
    assert "keras on jax" in str(report)
