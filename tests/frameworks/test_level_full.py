"""Verification at the level ``full``: other sizes, forms, precisions, engines and optimizers."""

from __future__ import annotations

import everything
import numpy as np
import pytest

import zoo
from zoo import ops
from zoo.verification.rendering.terminal import KINDS
from zoo.verification.results import Check

HEADER = "options: {num_classes: 10, input_size: 25}\n"

#: What every kind of check needs, and little for compilers to do.
FEW = """
conv: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: same}
bn: {op: batch_norm}
relu: {op: relu}
adaptive: {op: adaptive_avg_pool, output_size: 3}
flatten: {op: flatten}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""


def test_every_operation_is_in_everything(spec_file):
    path = spec_file(everything.LAYERS, header=HEADER)
    assert {node.op for node in zoo.graph(path).nodes} == set(ops.OPS)


#: What is compiled daily: test_native_torch and test_together have the others' forms and engines.
TWO = ("paddle", "flax")


@pytest.mark.parametrize(
    ("layers", "backends"),
    [
        pytest.param(FEW, TWO, id="few"),
        pytest.param(FEW, None, marks=pytest.mark.slow, id="few-all"),
        pytest.param(everything.LAYERS, None, marks=pytest.mark.slow, id="every"),
    ],
)
def test_level_full(layers, backends, spec_file):
    report = zoo.verify(spec_file(layers, header=HEADER), level="full", backends=backends)
    assert report.passed, str(report)
    rows = {kind: {c.what for c in report.checks if c.kind == kind} for kind in KINDS}
    assert rows["size"] == {
        "batch 5 of 1x32x44, 7 classes",
        "batch 1 of 4x38x28, 13 classes",
        "batch 2 of 2x25x25, 2 classes",
    }
    forms = {"torch.compile", "tf.function"} if backends is None else set()
    assert rows["form"] == {"eager", "to_static", "nnx.jit"} | forms
    assert rows["precision"] == {"float32", "bfloat16", "float16"}
    engines = {"keras on jax", "keras on torch"} if backends is None else set()
    assert rows.get("engine", set()) == engines
    assert rows["optimizer"] == {
        f"{rule}, {steps}" for rule in ("SGD", "Adam") for steps in ("1 step", "10 steps")
    }
    for check in report.checks:
        if check.kind == "precision" and check.backend == "paddle" and check.what != "float32":
            assert f"PaddlePaddle has no {check.what} kernel for the operation" in check.note
            assert check.note.endswith("on this machine")
            assert "on the CPU" in check.limit, "the backend's table of limits names it"
            assert "float64, float32" in check.detail, "what Paddle said goes to JSON"
            assert check.detail not in str(report)
        else:
            assert check.error is not None, check
        if check.kind == "optimizer" and (check.backend, check.what[:4]) == ("keras", "Adam"):
            assert "epsilon" in check.note
    assert ("keras on jax" in str(report)) == bool(engines)


def test_what_raises_has_failed_unless_a_limit_is_stated():
    crashed = Check("form", "to_static", "paddle", note="RuntimeError: crashed")
    assert not crashed.passed
    assert crashed.problem == "execution mode to_static: no result: RuntimeError: crashed"
    limit = "PaddlePaddle has no float16 convolution kernel on the CPU"
    assert Check("precision", "float16", "paddle", note=limit, limit=limit).passed
    assert Check("precision", "float16", "torch", error=0.1).passed, "reported only"
    assert not Check("precision", "float32", "torch", error=0.1, allowed=1e-5).passed
    assert not Check("form", "eager", "torch", error=float("nan"), allowed=1e-12).passed


@pytest.mark.parametrize("stated", ["", "this form needs a compiler"])
def test_a_form_or_precision_that_raises(stated, spec_file, monkeypatch):
    from zoo.verification.stages import full as stage

    class Backend:
        def forms(self, model):
            def crash(x):
                raise RuntimeError("it crashed, and not by design")

            return {"eager": lambda x: x, "compiled": crash}

    monkeypatch.setattr(stage, "form_limit", lambda backend, form: stated)
    x = np.ones((1, 2))
    eager, compiled = (
        Check(backend="torch", allowed=1e-12, **fields)
        for fields in stage._forms(Backend(), "torch", None, x, {"logits": x})
    )
    assert eager.passed
    assert compiled.passed == bool(stated)
    assert compiled.error is None
    assert "it crashed" in (compiled.detail if stated else compiled.note)
    without = stage._explained(NotImplementedError("no kernel"), "")
    assert not Check(kind="precision", what="float16", backend="torch", **without).passed
