"""An operation of another package, with one function a backend, works in every framework."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.errors import BackendError
from zoo.verification.comparison import error

LAYERS = """
conv: {op: conv, out_channels: 4, kernel_size: 3}
prelu: {op: prelu, init: 0.1}
flatten: {op: flatten}
fc: {op: linear, out_features: 5}
"""


def test_every_node_and_every_weight(prelu, spec_file, framework, backend):
    path = spec_file(LAYERS)
    options = {"in_channels": 3, "input_size": 6}
    graph = zoo.graph(path, **options)
    model = zoo.build(path, backend, **options, dtype="float64")
    weights = zoo.get_weights(model)
    assert (weights["prelu.weight"] == 0.1).all()
    generator = np.random.default_rng(0)
    weights = {name: generator.standard_normal(value.shape) for name, value in weights.items()}
    zoo.set_weights(model, weights)
    for name, value in zoo.get_weights(model).items():
        assert np.array_equal(value, weights[name])
    assert registry.of(model).count_parameters(model) == graph.num_parameters
    x = generator.standard_normal((2, 3, 6, 6))
    values = zoo.features(model, x, [node.name for node in graph.nodes])
    for name, expected in ops.steps(graph, x, weights):
        assert error(values[name], expected) <= 1e-12, name
    if not framework.description.reaches("gradients"):
        return
    _, gradients, _ = framework.gradients(model, x, np.array([0, 3]))
    assert gradients["prelu.weight"].shape == (4,)
    assert abs(gradients["prelu.weight"]).min() > 0


def test_a_backend_that_has_no_function_refuses_by_name(
    prelu,
    spec_file,
    framework,
    backend,
    monkeypatch,
):
    monkeypatch.setattr(ops.OPS["prelu"], "implementations", {})
    framework.operations.pop("prelu", None)
    with pytest.raises(BackendError, match=f"{backend} backend has no operation 'prelu'"):
        zoo.build(spec_file(LAYERS), backend, in_channels=3, input_size=6)


@pytest.mark.frameworks
def test_a_layer_without_the_parameter_is_named(prelu, spec_file, backend, monkeypatch):
    names = {backend: {"weight": "missing"}}
    monkeypatch.setattr(ops.OPS["prelu"], "parameters", names)
    with pytest.raises(BackendError, match=rf"prelu: the operation 'prelu' .*\"{backend}\""):
        zoo.build(spec_file(LAYERS), backend, in_channels=3, input_size=6)


def test_the_frameworks_own_files_are_read_back(prelu, spec_file, tmp_path, backend, framework):
    path = spec_file(LAYERS)
    options = {"in_channels": 3, "input_size": 6}
    model = zoo.build(path, backend, **options, seed=1)
    file = tmp_path / f"weights{framework.description.suffix}"
    framework.export(model, str(file))
    loaded = zoo.build(path, backend, **options, seed=2, weights=file)
    for name, value in zoo.get_weights(model).items():
        assert np.array_equal(zoo.get_weights(loaded)[name], value)
