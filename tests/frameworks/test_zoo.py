"""Every model that zoo ships, in every backend: counted, and compared at every node.

The smallest of each family at every run, in one of the five; with ``-m slow`` all, in all.

At a small input size, where a network takes one: what it is made of does not depend on it. The
counts of those whose dense layers do are held at their own size by test_models. Each framework is
given its weights by the one before, and the last's are those of the first, bit for bit.
"""

from __future__ import annotations

import numpy as np
import pytest
from conftest import BACKENDS
from counting import DENSE, count, index, large
from loading import load

import zoo
from zoo.verification.comparison import error
from zoo.verification.conditioned_weights import conditioned
from zoo.verification.full import photographs
from zoo.verification.verify import smaller


@pytest.fixture(scope="module")
def frameworks():
    """All of them, loaded."""
    modules = {name: load(name) for name in BACKENDS}
    import jax
    import torch

    jax.config.update("jax_enable_x64", True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # in float64 PyTorch takes each group of a convolution by itself
    yield modules
    torch.set_num_threads(threads)


def small(name):
    """The graph of a model at a small input size."""
    return zoo.graph(name, input_size=smaller(zoo.graph(name)))


#: The smallest networks are for those that take longest to build or compile one.
BY_COST = ("flax", "keras", "paddle", "onnx", "torch")


def models():
    """Every model but the largest, with the backends to go through."""
    families = {}
    for model in index():
        if model["model"] not in large():
            families.setdefault(model["family"], []).append((model["macs"], model["model"]))
    smallest = sorted(map(min, families.values()))
    for place, (_, name) in enumerate(smallest):
        yield name, (BY_COST[place * len(BY_COST) // len(smallest)],)
    for family in families.values():
        for _, name in family:
            yield pytest.param(name, BACKENDS, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "chain"), list(models()), ids=lambda v: v if isinstance(v, str) else "-".join(v)
)
def test_model(name, chain, frameworks, free_memory):
    graph = small(name)
    own = zoo.graph(name)
    assert graph.num_parameters == own.num_parameters or own.about["family"] in DENSE
    options = {"input_size": graph.options["input_size"]}
    x = photographs(1, graph)
    weights, reference = conditioned(graph, x)
    model = zoo.build(name, "torch", **options, dtype="float64")
    zoo.set_weights(model, weights)
    for backend in chain:
        framework = frameworks[backend]
        model = zoo.convert(model, backend)
        assert count(model, backend) == graph.num_parameters, backend
        assert framework.shapes(model) == {p.name: p.shape for p in graph.parameters}, backend
        found = zoo.features(model, x, [node.name for node in graph.nodes])
        errors = {node: error(found[node], value) for node, value in reference.items()}
        apart = next((node for node, far in errors.items() if not far <= 1e-12), None)
        assert apart is None, f"{backend}: {apart}: {errors[apart]:.1e}"
        del found
        free_memory()
    for parameter, value in zoo.get_weights(model).items():
        assert np.array_equal(value, weights[parameter]), parameter
