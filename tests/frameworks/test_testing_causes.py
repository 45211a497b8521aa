"""A cause is named where it is one, and not where another fault looks the same."""

import numpy as np
import pytest
from loading import load

from zoo.testing import assert_same

pytestmark = pytest.mark.frameworks

NORMED = """
conv: {op: conv, out_channels: 4, kernel_size: 1}
bn: {op: batch_norm, eps: 0.001, momentum: 0.01}
relu: {op: relu}
pool: {op: global_avg_pool}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 2, input_size: 4}\n"


@pytest.fixture
def spec(spec_file):
    return spec_file(NORMED, header=HEADER)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((3, 3, 4, 4)).astype(np.float32)


def in_torch(norm=None, ran=True, channels=4, head=None, zero=False):
    load("torch")
    from torch import nn

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, channels, 1)
            self.bn = norm or nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
            self.fc = nn.Linear(channels, 2)
            if zero:
                nn.init.zeros_(self.fc.weight), nn.init.zeros_(self.fc.bias)

        def forward(self, x):
            x = self.conv(x)
            x = self.fc((self.bn(x) if ran else x).relu().mean((2, 3)))
            return head(x) if head else x

    return Mine()


def told(model, spec, x, **options) -> str:
    with pytest.raises(AssertionError) as raised:
        assert_same(model, spec, x, **options)
    return str(raised.value)


def test_a_layer_that_changes_little_is_not_missing(spec, x):
    """A fresh batch norm is nearly the identity; its epsilon is wrong."""
    load("torch")
    from torch import nn

    message = told(in_torch(nn.BatchNorm2d(4, eps=1e-6)), spec, x)
    assert "diverge at bn" in message
    assert "omit" not in message
    assert "All nodes before it match. The spec has batch_norm with eps=0.001, " in message


def test_a_layer_that_does_not_run_may_be_missing(spec, x):
    message = told(in_torch(ran=False), spec, x)
    assert "Without bn (batch_norm, 4x4x4) the spec computes the same value" in message
    assert "the model may omit this node" in message


def in_keras(activation, stride=1):
    load("keras")
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((4, 4, 3)),
            *([layers.UpSampling2D(2), layers.MaxPooling2D(2)] if stride == 1 else ()),
            *([layers.Lambda(lambda x: x * 2)] if stride == 2 else ()),
            layers.Conv2D(4, 1, activation=activation, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="fc"),
        ]
    )


@pytest.mark.parametrize("operation", ["relu", "hard_sigmoid", "hard_swish", "silu"])
def test_a_built_in_activation_that_is_the_specs_is_not_named(operation, spec_file, x):
    lines = NORMED.replace("relu", operation).splitlines()
    spec = spec_file("\n".join(line for line in lines if not line.startswith("bn")), header=HEADER)
    assert_same(in_keras(operation), spec, x)
    message = told(in_keras(operation, stride=2), spec, x)
    assert f"diverge at {operation}" in message
    assert "built-in" not in message
    assert "built-in activation, tanh" in told(in_keras("tanh"), spec, x)


def test_the_number_of_classes_is_named_if_only_that_differs(spec, spec_file, x):
    five = spec_file(NORMED, header=HEADER.replace("2", "5"), file="five.yaml")
    assert "It has 2 classes: compare it with zoo.graph(" in told(in_torch(), five, x)
    load("torch")
    from torch import nn

    model = in_torch()
    model.fc = nn.Linear(6, 2)
    assert "classes" not in told(model, spec, x)
    model.fc = nn.Linear(6, 5)
    assert "classes" not in told(model, spec, x)


def test_the_size_of_inputs_is_named_if_it_may_be_wrong(spec, x):
    assert "expects inputs of 2x4x4" in told(in_torch(), spec, x[:, :2])
    assert "expects inputs" not in told(in_torch(channels=6), spec, x)


def test_the_softmax_is_named_unless_it_is_uniform(spec, x):
    load("torch")
    import torch

    assert "It is the softmax" in told(in_torch(head=lambda x: x.softmax(1)), spec, x)
    for head in (torch.sigmoid, lambda x: x.softmax(1)):
        message = told(in_torch(head=head, zero=True), spec, x)
        assert "only the returned output" in message
        assert "softmax" not in message


@pytest.mark.parametrize(
    ("statistic", "change", "named"),
    [
        ("running_mean", lambda mean: 5 * mean, "weights the new value by 0.05"),
        ("running_mean", lambda mean: mean + 0.02, ""),
        ("running_mean", lambda mean: mean.flip(0), ""),
        ("running_var", lambda variance: variance, "the unbiased variance"),
        ("running_var", lambda variance: 1.1 * variance, ""),
    ],
    ids=["momentum", "shift", "order", "variance", "factor"],
)
def test_a_momentum_or_a_variance_is_named_if_it_explains_the_statistic(
    statistic, change, named, spec, x
):
    load("torch")
    from torch import nn

    class Norm(nn.BatchNorm2d):
        def forward(self, x):
            y = super().forward(x)
            if self.training:
                values = getattr(self, statistic)
                values.data.copy_(change(values.clone()))  # unseen by autograd
            return y

    model = in_torch(Norm(4, eps=1e-3, momentum=0.01)).double()
    message = told(model, spec, x.astype("float64"), level="training")
    assert f"bn.{statistic} is off by" in message
    lines = message.splitlines()[1:]
    assert any(named in line for line in lines) if named else not lines
