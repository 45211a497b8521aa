"""Every operation, in every framework, against its NumPy meaning: float64, at most 1e-12.

Hypothesis draws the cases that each operation states: odd sizes, strides, ceil edges, asymmetric
padding, groups, dilation. PyTorch's own layers, which zoo/torch uses unchanged, in turn verify the
NumPy meaning.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import zoo
from zoo import ops
from zoo.errors import SpecError
from zoo.verification.comparison import error

TOLERANCE = 1e-12
#: Examples of an operation at every run, and of those with the most settings; five times as many at night.
FEW, MANY = 8, {"conv": 20, "max_pool": 16, "avg_pool": 16}


class Drawing:
    """Draws an operation's cases with Hypothesis."""

    def __init__(self, draw):
        self.draw = draw

    def integer(self, least, most):
        return self.draw(st.integers(least, most))

    def choice(self, values):
        return self.draw(st.sampled_from(values))


@st.composite
def cases(draw, op):
    return ops.OPS[op].cases(Drawing(draw))


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("op", ops.OPS)
def test_operation(op, times, framework, backend, tmp_path):
    path = tmp_path / "case.yaml"
    compared = 0

    @settings(
        max_examples=times * MANY.get(op, FEW),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(op), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
    def check(case, height, width, batch):
        nonlocal compared
        path.write_text(json.dumps(case.document()))  # JSON is YAML
        options = {"in_channels": case.channels, "input_size": (height, width)}
        try:
            graph = zoo.graph(str(path), **options)
        except SpecError:  # a window larger than its input, or nothing but padding
            assume(False)
        compared += 1
        generator = np.random.default_rng(height * 10 + width)
        x = generator.standard_normal((batch, case.channels, height, width)) - 1  # mostly negative
        weights = {p.name: generator.uniform(0.5, 1.5, p.shape) for p in graph.parameters}
        model = zoo.build(str(path), backend, **options, dtype="float64")
        zoo.set_weights(model, weights)
        node = graph.nodes[-1].name
        reference = dict(ops.steps(graph, x, weights))[node]
        assert error(zoo.predict(model, x), reference) <= TOLERANCE

    check()
    assert compared >= 5


ACTIVATIONS = [
    op for op, kind in ops.OPS.items() if kind.family == "activation" and op != "softmax"
]


@pytest.mark.frameworks
@pytest.mark.parametrize("op", ACTIVATIONS)
def test_the_derivative_of_an_activation(op, framework, backend, spec_file):
    """By the gradient of a shift before it, against differences of the NumPy meaning."""
    points = np.linspace(-7, 7, 96)  # none is near a kink
    layers = f"shift: {{op: affine}}\nactivation: {{op: {op}}}\nlogits: {{op: flatten}}"
    path = spec_file(layers, header="options: {num_classes: 96, in_channels: 96, input_size: 1}\n")
    graph = zoo.graph(path)
    model = zoo.build(path, backend, dtype="float64")
    zoo.set_weights(model, {"shift.weight": np.ones(96), "shift.bias": points})
    _, gradients, _ = framework.gradients(model, np.zeros((1, 96, 1, 1)), np.array([0]))

    def value(shift):
        x = (points + shift).reshape(1, 96, 1, 1)
        return ops.run(graph, x, {"shift.weight": np.ones(96), "shift.bias": np.zeros(96)})[
            "logits"
        ][0]

    h = 2e-3  # the five-point formula: exact but for h**4 and rounding
    derivative = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    exponentials = np.exp(value(0) - value(0).max())
    of_loss = exponentials / exponentials.sum()
    of_loss[0] -= 1
    assert error(gradients["shift.bias"] / of_loss, derivative) <= 1e-10


def test_an_average_may_have_more_padding_than_half_its_kernel(framework, backend, spec_file):
    """PyTorch's own layer refuses it."""
    path = spec_file("p: {op: avg_pool, kernel_size: 3, stride: 1, padding: 2}")
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 4))
    model = zoo.build(path, backend, input_size=4, dtype="float64")
    expected = ops.run(zoo.graph(path, input_size=4), x, {})["logits"]
    assert error(zoo.predict(model, x), expected) <= TOLERANCE
