"""A composite of another package, for which no backend has a kernel, works in every framework."""

from __future__ import annotations

import numpy as np
import pytest
from loading import load

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.ops import Composite, operation
from zoo.ops.fields import POSITIVE
from zoo.ops.grammar import Field
from zoo.verification.comparison import error
from zoo.verification.conditioned_weights import conditioned
from zoo.verification.full import photographs

LAYERS = """
conv: {op: conv, out_channels: 4, kernel_size: 3}
gate: {op: squeeze_excite, reduction: 4}
flatten: {op: flatten}
head: {op: classifier, features: 5}
"""
OPTIONS = {"in_channels": 3, "input_size": 6}


@pytest.fixture
def composites(squeeze_excite):
    """With parameters; reading a flattened map, with another inside; and with a batch norm."""
    with ops.OPS.restored():

        @operation("rectified", family="activation")
        class Rectified(Composite):
            """max(x, 0), twice as steep."""

            expands = {"relu": {"op": "relu"}, "twice": {"op": "scale", "factor": 2}}

        @operation("classifier", family="dense")
        class Classifier(Composite):
            """A linear layer and what follows it."""

            features = Field(POSITIVE)
            expands = {
                "linear": {"op": "linear", "out_features": "$features"},
                "rectified": {"op": "rectified"},
            }

        @operation("conv_norm", family="convolution")
        class ConvNorm(Composite):
            """A convolution with a batch norm."""

            out_channels = Field(POSITIVE)
            expands = {
                "conv": {"op": "conv", "out_channels": "$out_channels", "kernel_size": 3},
                "bn": {"op": "batch_norm"},
                "silu": {"op": "silu"},
            }

        yield


def test_a_composite_with_a_batch_norm_has_conditioned_weights(composites, spec_file):
    graph = zoo.graph(spec_file("a: {op: conv_norm, out_channels: 5}"), input_size=9)
    weights, reference = conditioned(graph, photographs(1, graph))
    assert list(reference) == ["a"]
    assert np.isfinite(reference["a"]).all()
    assert weights.keys() == {p.name for p in graph.parameters}
    assert (weights["a.bn.running_var"] > 0).all()


def test_every_node_and_every_weight(composites, spec_file, framework, backend, tmp_path):
    path = spec_file(LAYERS)
    graph = zoo.graph(path, **OPTIONS)
    assert [node.name for node in graph.nodes] == ["conv", "gate", "flatten", "head"]
    model = zoo.build(path, backend, **OPTIONS, dtype="float64")
    assert list(zoo.get_weights(model)) == [p.name for p in graph.parameters]
    generator = np.random.default_rng(0)
    weights = {p.name: generator.standard_normal(p.shape) for p in graph.parameters}
    zoo.set_weights(model, weights)
    assert registry.of(model).count_parameters(model) == graph.num_parameters
    x = generator.standard_normal((2, 3, 6, 6))
    reference = dict(ops.steps(graph, x, weights))
    values = zoo.features(model, x, list(reference))
    for name, expected in reference.items():
        assert error(values[name], expected) <= 1e-12, name
    assert error(zoo.predict(model, x), reference["head"]) <= 1e-12
    if framework.description.reaches("gradients"):
        _, gradients, _ = framework.gradients(model, x, np.array([0, 3]))
        assert gradients.keys() == {p.name for p in graph.parameters if p.trainable}
    zoo.save(model, tmp_path / "model.safetensors")
    again = zoo.load(tmp_path / "model.safetensors", backend)
    for name, value in zoo.get_weights(again).items():
        assert np.array_equal(value, weights[name]), name
    assert zoo.graph_of(again).num_parameters == graph.num_parameters


def test_a_composite_moves_between_frameworks(composites, spec_file, framework, backend):
    load("torch")
    model = zoo.build(spec_file(LAYERS), "torch", **OPTIONS)
    moved = zoo.convert(model, backend)
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)
    assert error(zoo.predict(moved, x), zoo.predict(model, x)) <= 1e-5
