"""Faults are seeded in each backend, one at a time: verification finds each, and names the node.

Most are made in the graph that a builder is given, or in the weights a model is filled with: that
is what a mistake in a builder comes to. The reference and the verdict know nothing of them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from conftest import BACKENDS, FRAMEWORKS
from loading import load
from verifying import InThisProcess

import zoo
from zoo.graphs.blocks import Block
from zoo.training import rules

SPEC = """
format: 1
name: mutants
options: {num_classes: 6, in_channels: 3, input_size: [26, 30]}
layers:
  stem: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: [0, 1, 0, 1]}
  bn: {op: batch_norm, momentum: 0.2}
  act: {op: relu}
  lrn: {op: lrn, size: 5, alpha: 0.5, beta: 0.75, k: 2}
  pool: {op: max_pool, kernel_size: 3, stride: 2, ceil_mode: true}
  mix:
    layers:
      a: {op: conv, from: input, out_channels: 4, kernel_size: 3, padding: 1}
      b: {from: input, layers: {conv: {op: conv, out_channels: 4, kernel_size: 3, padding: 1}, relu: {op: relu}}}
      c: {from: input, layers: {pool: {op: avg_pool, kernel_size: 3, stride: 1, padding: 1, count_include_pad: false}}}
      concat: {op: concat, from: [a, b, c]}
  grouped: {op: conv, out_channels: 16, kernel_size: 3, padding: 2, dilation: 2, groups: 2}
  sum: {op: add, from: [grouped, mix]}
  factor: {op: scale, factor: 0.3}
  flatten: {op: flatten}
  dense1: {op: linear, out_features: 12}
  dense2: {op: linear, out_features: 12}
  drop: {op: dropout, rate: 0.4}
  fc: {op: linear, out_features: $num_classes}
  aux1: {from: stem, when: $aux, layers: {mean: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
  aux2: {from: act, when: $aux, layers: {pool: {op: max_pool, kernel_size: 2, ceil_mode: true}, mean: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
outputs: {logits: {from: fc}, aux1: {from: aux1, loss_weight: 0.3}, aux2: {from: aux2, loss_weight: 0.3}}
"""


#: The same for training: Keras compiles a grouped convolution anew at each call.
UNGROUPED = "ungrouped.yaml"


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "mutants.yaml"
    path.write_text(SPEC)
    path.with_name(UNGROUPED).write_text(SPEC.replace("groups: 2", "groups: 1"))
    return path


@pytest.fixture(scope="module")
def other(backend):
    """Another backend, to hold gradients against."""
    name = "paddle" if backend == "torch" else "torch"  # which compile nothing
    load(name)
    return name


@dataclass
class Fault:
    """A mistake: in a graph, in weights, or in the functions of a backend."""

    node: str  # that the report must name
    graph: object = None  # of a graph, the wrong one
    weights: object = None  # changes canonical arrays in place
    level: str = "forward"


def with_node(name, **changes):
    """Another node in the place of one."""

    def change(graph):
        def visit(block):
            steps = []
            for step in block.steps:
                child = step.child
                if isinstance(child, Block):
                    step = replace(step, child=visit(child))
                elif child.name == name:
                    new = dict(changes)
                    attributes = {**child.attributes, **new.pop("attributes", {})}
                    inputs = new.pop("step_inputs", step.inputs)
                    names = dict(zip(step.inputs, child.inputs, strict=True))
                    new["inputs"] = tuple(names[each] for each in inputs)
                    child = replace(child, attributes=attributes, **new)
                    step = replace(step, child=child, inputs=inputs)
                steps.append(step)
            return replace(block, steps=tuple(steps))

        return replace(graph, root=visit(graph.root))

    return change


def attributes(name, **changes):
    return with_node(name, attributes=changes)


def no_op(name):
    return with_node(name, op="scale", attributes={"factor": 1.0})


def swapped_heads(graph):
    if not graph.options["aux"]:
        return graph
    logits, one, two = graph.outputs
    return replace(
        graph, outputs=(logits, replace(one, step=two.step), replace(two, step=one.step))
    )


def heavier_head(graph):
    if not graph.options["aux"]:
        return graph
    logits, one, two = graph.outputs
    return replace(graph, outputs=(logits, replace(one, loss_weight=1.0), two))


def changed(name, function):
    def change(weights):
        weights[name] = np.ascontiguousarray(function(weights[name]))

    return change


def nudged(value):
    value = value.astype(np.float64)
    value.flat[value.size // 2] += 1e-9
    return value


def hwc(value):
    """Columns of a dense layer as a flatten of [H, W, C] would want them."""
    return value.reshape(12, 16, 6, 7).transpose(0, 2, 3, 1).reshape(12, 672)


def gamma_for_beta(weights):
    weights["bn.weight"], weights["bn.bias"] = weights["bn.bias"], weights["bn.weight"]


FAULTS = {
    "two branches swapped": Fault(
        "mix.concat", with_node("mix.concat", step_inputs=("b", "a", "c"))
    ),
    "a square dense matrix transposed": Fault(
        "dense2", weights=changed("dense2.weight", lambda w: w.T)
    ),
    "floor for ceil": Fault(
        "aux2.pool",
        with_node(
            "aux2.pool",
            shape=(8, 6, 7),
            attributes={"symmetric": (0, 0, False), "padding": (0, 0, 0, 0)},
        ),
    ),
    "pads at the other side": Fault("stem", attributes("stem", padding=(1, 0, 1, 0))),
    "alpha not divided by the size": Fault("lrn", attributes("lrn", alpha=2.5)),
    "a window of 3 for 5": Fault("lrn", attributes("lrn", size=3)),
    "beta through float32": Fault("lrn", attributes("lrn", beta=float(np.float32(0.7499999)))),
    "eps 1e-3 for 1e-5": Fault("bn", attributes("bn", eps=1e-3)),
    "a relu left out": Fault("act", no_op("act")),
    "a relu left out of a branch": Fault("mix.b.relu", no_op("mix.b.relu")),
    "an average that counts its padding": Fault(
        "mix.c.pool", attributes("mix.c.pool", counted=None)
    ),
    "a dilation of 1 for 2": Fault(
        "grouped", attributes("grouped", dilation=(1, 1), padding=(1, 1, 1, 1))
    ),
    "a sum without its shortcut": Fault("sum", with_node("sum", step_inputs=("grouped", "grouped"))),
    "a constant through float32": Fault("factor", attributes("factor", factor=float(np.float32(0.3)))),
    "a constant left out": Fault("factor", no_op("factor")),
    "aux1 for aux2": Fault("output aux1", swapped_heads),
    "one weight off by 1e-9": Fault("grouped", weights=changed("grouped.weight", nudged)),
    "a bias left out": Fault("dense1", weights=changed("dense1.bias", np.zeros_like)),
    "a kernel turned round": Fault(
        "stem", weights=changed("stem.weight", lambda w: w[:, :, ::-1, ::-1])
    ),
    "height for width": Fault(
        "mix.a", weights=changed("mix.a.weight", lambda w: w.transpose(0, 1, 3, 2))
    ),
    "colors in another order": Fault("stem", weights=changed("stem.weight", lambda w: w[:, ::-1])),
    "flattened as HWC": Fault("dense1", weights=changed("dense1.weight", hwc)),
    "gamma for beta": Fault("bn", weights=gamma_for_beta),
    "no running mean": Fault("bn", weights=changed("bn.running_mean", np.zeros_like)),
    "a head's loss by another weight": Fault("gradient of stem.weight", heavier_head, level="gradients"),
    "momentum inverted": Fault("bn.running_mean after SGD", attributes("bn", momentum=0.8), level="training"),
}  # fmt: skip


@pytest.fixture
def seeded(monkeypatch, framework, backend):
    """Seeds a fault in a backend."""

    def seed(fault):
        right_build, right_set = framework.build, framework.set_weights

        def build(graph, *arguments):
            model = right_build(fault.graph(graph) if fault.graph else graph, *arguments)
            return model

        def set_weights(model, weights):
            weights = dict(weights)
            if fault.weights:
                fault.weights(weights)
            right_set(model, weights)

        monkeypatch.setattr(framework, "build", build)
        monkeypatch.setattr(framework, "set_weights", set_weights)

    return seed


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(rules, "STEPS", 3)


def verify(spec, backends, level="forward"):
    path = spec if level == "forward" else spec.with_name(UNGROUPED)
    return zoo.verify(
        path, aux=True, backends=backends, dtype="float64", level=level, workers=InThisProcess()
    )


@pytest.mark.frameworks
def test_without_a_fault_it_passes(spec, backend, framework, other):
    report = verify(spec, [backend, other], "training")
    assert report.passed, str(report)


def cases():
    """PyTorch and one other backend in turn for each fault; the rest are slow."""
    for i, (name, fault) in enumerate(FAULTS.items()):
        backends = BACKENDS if fault.level == "forward" else FRAMEWORKS
        in_turn = backends[1 + i % (len(backends) - 1)]
        for backend in backends:
            marks = [] if backend in ("torch", in_turn) else pytest.mark.slow
            yield pytest.param(backend, name, marks=marks, id=f"{backend}-{name}")


@pytest.mark.parametrize(("backend", "name"), list(cases()), indirect=["backend"])
def test_every_fault_is_found_and_its_node_named(name, spec, backend, other, seeded):
    fault = FAULTS[name]
    seeded(fault)
    backends = [backend] if fault.level == "forward" else [backend, other]
    report = verify(spec, backends, fault.level)
    assert not report.passed, "it survived"
    if fault.level == "forward":
        (result,) = report.results
        assert result.first is not None, result.problems
        # In ONNX an output and the node that gives it are one value.
        node = fault.node if backend != "onnx" else fault.node.replace("output aux1", "aux1.fc")
        assert result.first.node == node
        assert result.problems[0].startswith(f"{node}: error ")
    else:
        assert all(not result.problems for result in report.results), "forward nothing is wrong"
        assert f": {fault.node}: " in report.training.problems[0]


@pytest.mark.frameworks
def test_a_bf16_or_float32_model_for_a_float64_one_is_found(spec, backend, framework, monkeypatch):
    right = framework.build
    monkeypatch.setattr(
        framework, "build", lambda graph, draw, dtype, seed: right(graph, None, "float32", seed)
    )
    report = verify(spec, [backend])
    assert report.results[0].first.node == "stem"


@pytest.mark.parametrize("backend", ["torch"], indirect=True)
def test_the_unbiased_variance_is_found(spec, framework, other, monkeypatch):
    """PyTorch's own layer in the place of zoo's."""
    from torch import nn

    operations = importlib.import_module("zoo.torch.operations")
    monkeypatch.setitem(
        operations.OPERATIONS,
        "batch_norm",
        lambda node, factory: nn.BatchNorm2d(8, momentum=0.2, **factory),
    )
    report = verify(spec, ["torch", other], "training")
    assert "torch - paddle: bn.running_var after SGD" in " ".join(report.training.problems)
