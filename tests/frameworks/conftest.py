"""What tests share: frameworks, a comparison of every node with the NumPy meaning, a browser."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest
from browsing import chromium
from loading import load
from photographs import photographs

import zoo
from zoo.cli.program import program
from zoo.cli.terminal import run
from zoo.verification.comparison import Worst, error
from zoo.verification.conditioned_weights import conditioned


@pytest.fixture(scope="session")
def framework(backend):
    """The backend's module."""
    module = load(backend)
    if backend == "flax":
        import jax

        jax.config.update("jax_enable_x64", True)  # or a float64 model cannot be made
    return module


@pytest.fixture(scope="session")
def reference():
    """What NumPy gives of a network and photographs: once for all frameworks."""

    @functools.cache
    def compute(name, batch, **options):
        graph = zoo.graph(name, **options)
        x = photographs(batch, graph.input_shape)
        return graph, x, *conditioned(graph, x)

    return compute


@pytest.fixture(scope="session")
def worst_node(framework, backend, reference):
    """Builds a model and gives its worst error at any node or output, and where."""

    def compare(name, dtype="float64", batch=1, **options) -> Worst:
        graph, x, weights, values = reference(name, batch, **options)
        model = zoo.build(name, backend, **options, dtype=dtype)
        zoo.set_weights(model, weights)
        found = zoo.features(model, x, [node.name for node in graph.nodes])
        outputs = zoo.predict(model, x)
        if len(graph.outputs) == 1:
            outputs = {graph.outputs[0].name: outputs}
        pairs = {name: (value, values[name]) for name, value in found.items()}
        for output, node in graph.output_nodes.items():
            pairs[f"output {output}"] = (outputs[output], values[node.name])
        for value, _ in pairs.values():
            assert value.dtype == np.dtype(dtype)
        errors = {name: error(*pair) for name, pair in pairs.items()}
        name = max(errors, key=errors.get)
        return Worst(errors[name], name)

    return compare


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command line in this process, which has imported the frameworks.

    Returns its exit status and what it wrote to both streams.
    """

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(program)
        return (ended.value.code, *capsys.readouterr())

    return invoke


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, which notes what it is asked for and what goes wrong."""
    yield from chromium()
