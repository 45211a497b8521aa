"""Every model that zoo ships, in every framework: counted, and compared at every node.

At a small input size, where a network takes one: what it is made of does not depend on it. The
counts of those whose dense layers do are held at their own size by test_models.
"""

from __future__ import annotations

import gc

import pytest
from conftest import BACKENDS
from counting import count
from loading import load

import zoo
from zoo.verification.breadth import photographs
from zoo.verification.comparison import error
from zoo.verification.conditioned import conditioned
from zoo.verification.verify import smaller


@pytest.fixture(scope="module")
def frameworks():
    """All four, loaded."""
    modules = {name: load(name) for name in BACKENDS}
    import jax

    jax.config.update("jax_enable_x64", True)
    return modules


@pytest.mark.parametrize("name", zoo.list_models())
def test_model(name, frameworks):
    size = smaller(name, zoo.graph(name))
    options = {"input_size": size, "num_classes": 7}
    graph = zoo.graph(name, **options)
    x = photographs(1, graph)
    weights, reference = conditioned(graph, x)
    for backend, framework in frameworks.items():
        model = zoo.build(name, backend, **options, dtype="float64")
        assert count(model, backend) == graph.num_parameters, backend
        assert framework.shapes(model) == {p.name: p.shape for p in graph.parameters}, backend
        zoo.set_weights(model, weights)
        found = zoo.features(model, x, [node.name for node in graph.nodes])
        errors = {node: error(found[node], value) for node, value in reference.items()}
        apart = next((node for node, far in errors.items() if not far <= 1e-12), None)
        assert apart is None, f"{backend}: {apart}: {errors[apart]:.1e}"
        del model, found
        gc.collect()
