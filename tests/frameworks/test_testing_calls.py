"""Hand-written models that call a module twice, or hold several nodes in one, against a spec."""

from __future__ import annotations

import numpy as np
import pytest
from loading import load

import zoo
from zoo.errors import InputError
from zoo.testing import assert_same

pytestmark = pytest.mark.frameworks

CALLED = """
conv: {op: conv, out_channels: 6, kernel_size: 3, padding: 1}
relu: {op: relu}
pool: {op: max_pool, kernel_size: 2, stride: 2}
flatten: {op: flatten}
fc1: {op: linear, out_features: 96}
relu1: {op: relu}
drop: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""
CALLED_NAMES = {"conv": "c", "fc1": "a", "fc": "o", "pool": "p"}


def called_torch(
    fused=False, twice=True, scale=1.0, extra=None, inplace=False, rate=0.5, cut=False
):
    import torch
    from torch import nn

    class Fused(nn.Linear):
        def forward(self, x):
            return torch.relu(super().forward(x))

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.p = nn.Conv2d(3, 6, 3, padding=1), nn.MaxPool2d(2)
            self.a, self.o = (Fused if fused else nn.Linear)(96, 96), nn.Linear(96, 5)
            self.relu, self.drop = nn.ReLU(inplace=inplace), nn.Dropout(rate)

        def forward(self, x):
            x = self.p(self.relu(self.c(x))).flatten(1)
            x = self.a(x.detach() if cut else x)
            x = self.drop(self.relu(x) if twice and not fused else x)
            x = self.o(x) * scale
            return x.softmax(1) if extra else x

    return Mine()


def called_paddle(
    fused=False, twice=True, scale=1.0, extra=None, inplace=False, rate=0.5, cut=False
):
    from paddle import nn
    from paddle.nn import functional as F

    class Fused(nn.Linear):
        def forward(self, x):
            return F.relu(super().forward(x))

    class InPlace(nn.Layer):
        def forward(self, x):
            return F.relu_(x)

    class Mine(nn.Layer):
        def __init__(self):
            super().__init__()
            self.c, self.p = nn.Conv2D(3, 6, 3, padding=1), nn.MaxPool2D(2)
            self.a, self.o = (Fused if fused else nn.Linear)(96, 96), nn.Linear(96, 5)
            self.relu = InPlace() if inplace else nn.ReLU()
            self.drop = nn.Dropout(rate)

        def forward(self, x):
            x = self.p(self.relu(self.c(x))).flatten(1)
            x = self.a(x.detach() if cut else x)
            x = self.drop(self.relu(x) if twice and not fused else x)
            x = self.o(x) * scale
            return F.softmax(x) if extra else x

    return Mine()


def called_keras(
    fused=False, twice=True, scale=1.0, extra=None, inplace=False, rate=0.5, cut=False
):
    from keras import Input, Model, layers, ops

    relu = layers.ReLU(name="relu")
    x = inputs = Input((8, 8, 3))
    x = relu(layers.Conv2D(6, 3, padding="same", name="c")(x))
    x = layers.Flatten()(layers.MaxPooling2D(2, name="p")(x))
    x = ops.stop_gradient(x) if cut else x
    x = layers.Dense(96, activation="relu" if fused else None, name="a")(x)
    x = layers.Dropout(rate, name="drop")(relu(x) if twice and not fused else x)
    x = layers.Dense(5, name="o")(x) * scale
    return Model(inputs, layers.Softmax()(x) if extra else x)


def called_flax(fused=False, twice=True, scale=1.0, extra=None, inplace=False, rate=0.5, cut=False):
    import jax
    from flax import nnx

    rngs = nnx.Rngs(0)

    class Fused(nnx.Linear):
        def __call__(self, x):
            return nnx.relu(super().__call__(x))

    class Mine(nnx.Module):
        def __init__(self):
            self.c = nnx.Conv(3, 6, (3, 3), rngs=rngs)
            self.a = (Fused if fused else nnx.Linear)(96, 96, rngs=rngs)
            self.o, self.relu = nnx.Linear(96, 5, rngs=rngs), nnx.relu
            self.drop = nnx.Dropout(rate, rngs=rngs)

        def p(self, x):
            return nnx.max_pool(x, (2, 2), (2, 2))

        def __call__(self, x):
            x = self.p(self.relu(self.c(x))).reshape(len(x), -1)
            x = self.a(jax.lax.stop_gradient(x) if cut else x)
            x = self.drop(self.relu(x) if twice and not fused else x)
            x = self.o(x) * scale
            return nnx.softmax(x) if extra else x

    return Mine()


CALLED_MAKERS = {
    "torch": called_torch,
    "paddle": called_paddle,
    "keras": called_keras,
    "flax": called_flax,
}


@pytest.fixture
def call(framework, backend):
    return CALLED_MAKERS[backend]


@pytest.fixture
def called_names(backend):
    # A method is no module, and is not held.
    return {n: p for n, p in CALLED_NAMES.items() if backend != "flax" or p != "p"}


@pytest.fixture
def called(spec_file):
    return spec_file(CALLED, header="options: {num_classes: 5, input_size: 8}\n")


@pytest.fixture
def small():
    return np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    "more",
    [{}, {"relu": "relu", "relu1": "relu"}, {"relu": "relu"}, {"relu1": "relu"}],
    ids=["alike", "both", "first", "second"],
)
def test_a_module_called_twice(more, inplace, call, called, called_names, small):
    assert_same(call(inplace=inplace), called, small, names={**called_names, **more})


def test_a_module_called_once_too_few(call, called, called_names, small):
    both = {**called_names, "relu": "relu", "relu1": "relu"}
    with pytest.raises(AssertionError, match=r"they diverge at relu1 \(relu, 96\)"):
        assert_same(call(twice=False), called, small, names=both)
    # Where its name alone is like a node's, what is later tells.
    with pytest.raises(AssertionError, match=r"(?s)diverge at drop .*Without relu1 \(relu, 96\)"):
        assert_same(call(twice=False), called, small, names=called_names)


def test_the_order_of_calls_is_not_that_of_the_spec(spec_file, small):
    load("torch")
    import torch
    from torch import nn

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.act = nn.ReLU()

        def forward(self, x):
            right = self.act(self.b(x))
            return torch.cat([self.act(self.a(x)), right], 1).mean((2, 3))

    spec = spec_file(
        "a: {op: conv, out_channels: 4, kernel_size: 1}\n"
        "ra: {op: relu}\n"
        "b: {op: conv, from: input, out_channels: 4, kernel_size: 1}\n"
        "rb: {op: relu}\n"
        "join: {op: concat, from: [ra, rb]}\n"
        "mean: {op: global_avg_pool}\n"
        "flatten: {op: flatten}\n",
        header="options: {num_classes: 8, input_size: 8}\n",
    )
    assert_same(Mine(), spec, small, names={"ra": "act", "rb": "act"})


def test_an_activation_inside(call, called, called_names, small, backend):
    inside = {**called_names, "relu1": "a"}
    assert_same(call(fused=True), called, small, names=inside, level="gradients")
    with pytest.raises(AssertionError, match=r"they diverge at relu1 \(relu, 96\)"):
        assert_same(call(twice=False), called, small, names=inside)
    if backend == "keras":  # a layer that says so itself
        assert_same(call(fused=True), called, small, names=called_names)
    else:
        with pytest.raises(AssertionError, match=r"they diverge at fc1 \(linear, 96\)"):
            assert_same(call(fused=True), called, small, names=called_names)


def test_an_activation_inside_that_the_spec_has_not(spec_file, small):
    load("keras")
    spec = spec_file(
        CALLED.replace("relu1: {op: relu}\n", "relu1: {op: tanh}\n"),
        header="options: {num_classes: 5, input_size: 8}\n",
    )
    with pytest.raises(
        AssertionError, match=r"(?s)diverge at relu1 \(tanh.*built-in activation, relu"
    ):
        assert_same(called_keras(fused=True), spec, small, names=CALLED_NAMES)
    spec = spec_file(
        CALLED.replace("relu1: {op: relu}\n", ""),
        header="options: {num_classes: 5, input_size: 8}\n",
    )
    with pytest.raises(
        AssertionError, match=r"(?s)diverge at fc1 \(linear.*built-in activation, relu"
    ):
        assert_same(called_keras(fused=True), spec, small, names=CALLED_NAMES)


def test_names_that_lead_nowhere(call, called, called_names, small):
    wrong = {**called_names, "fc1": "aa"}
    with pytest.raises(InputError, match=r"has no module 'aa' \(for fc1\)\. Did you mean 'a'\?"):
        assert_same(call(), called, small, names=wrong)
    with pytest.raises(InputError, match=r"has no module 'nothing' \(for relu1\)$"):
        assert_same(call(), called, small, names={**called_names, "relu1": "nothing"})


def test_a_method_with_the_name_of_a_node_is_no_module(spec_file, small):
    load("flax")
    from flax import nnx

    class Mine(nnx.Module):
        def __init__(self):
            self.fc = nnx.Linear(3, 5, rngs=nnx.Rngs(0))

        def pool(self, x):
            return x.mean((1, 2))

        def __call__(self, x):
            return self.fc(self.pool(x))

    spec = spec_file(
        "pool: {op: global_avg_pool}\nflatten: {op: flatten}\n"
        "fc: {op: linear, out_features: $num_classes}\n",
        header="options: {num_classes: 5, input_size: 8}\n",
    )
    assert_same(Mine(), spec, small)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x * np.nan, "x has NaN or infinite values"),
        (lambda x: np.where(x > 2, np.inf, x), "x has NaN or infinite values"),
        (lambda x: x[:0], r"x is empty: \[0, 3, 8, 8\]"),
        (lambda x: x[0], r"expected x \[N, C, H, W\], got \[3, 8, 8\]"),
        (lambda x: x[..., :7], r"inputs \[N, 3, 8, 8\], got \[3, 3, 8, 7\]"),
        (lambda x: x.astype(str), "x: expected numbers, got"),
        (lambda x: [[1.0, 2.0], [1.0]], "NumPy cannot read x"),
    ],
    ids=["nan", "infinite", "empty", "one", "narrow", "words", "ragged"],
)
def test_inputs_that_do_not_fit(change, words, call, called, called_names, small):
    graph = zoo.graph(called, input_size=8)
    with pytest.raises(InputError, match=words) as told:
        assert_same(call(), graph, change(small), names=called_names)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, 2], r"expected labels of shape \[3\], got \[2\]"),
        ([[1, 2], [2, 3], [3, 4]], r"expected labels of shape \[3\], got \[3, 2\]"),
        ([1, 2, 5], "expected labels from 0 to 4, got 5"),
        ([-1, 2, 3], "expected labels from 0 to 4, got -1"),
        ([0.5, 1.0, 2.0], "expected labels that are integers, got float64"),
    ],
)
def test_labels_that_do_not_fit(labels, words, call, called, called_names, small):
    with pytest.raises(InputError, match=words) as told:
        assert_same(call(), called, small, names=called_names, level="gradients", labels=labels)
    assert "\n" not in str(told.value)


def test_more_examples_than_classes(call, called, called_names, small):
    x = np.concatenate([small, 2 * small])
    assert_same(call(), called, x, names=called_names, level="gradients")


def test_only_what_is_returned_differs(call, called, called_names, small):
    with pytest.raises(AssertionError) as told:
        assert_same(call(extra=True), called, small, names=called_names)
    first, second = str(told.value).splitlines()
    assert "all compared nodes match, up to fc (linear, 5); only the returned" in first
    assert "error " in first
    assert second == "It is the softmax of fc; the spec returns fc itself"
    with pytest.raises(AssertionError, match=r"up to fc .*: error 1\.0e\+00 above"):
        assert_same(call(scale=2.0), called, small, names=called_names)
    with pytest.raises(AssertionError, match="has NaN there"):
        assert_same(call(scale=float("nan")), called, small, names=called_names)


def test_weights_that_do_not_fit(call, called, called_names, small):
    less = {n: p for n, p in called_names.items() if n != "fc1"}
    model = call()
    with pytest.raises(AssertionError) as told:
        assert_same(model, called, small, names=less)
    first, *_, last = str(told.value).splitlines()
    title = type(model).__name__
    assert first == f"the weights of {title} do not fit tiny:"
    assert last == f"Map the spec's names to modules of {title} with names."
    with pytest.raises(AssertionError) as told:
        assert_same(model, called, small[:, :2], names=called_names)
    assert str(told.value).splitlines()[-1] == "tiny expects inputs of 2x8x8."


def test_a_gradient_that_is_cut(call, called, called_names, small):
    assert_same(call(cut=True), called, small, names=called_names)
    with pytest.raises(AssertionError, match=r"the gradient of conv\.\w+ is off by "):
        assert_same(call(cut=True), called, small, names=called_names, level="gradients")


def test_dropouts_drop_nothing_and_are_left_as_they_were(call, called, called_names, small):
    model = call()
    for _ in range(2):  # were the rate not put back, the second would tell
        assert_same(model, called, small, names=called_names, level="training")


@pytest.mark.parametrize("more", [{}, {"drop": "drop"}], ids=["alike", "mapped"])
def test_rates_of_dropouts(more, call, called, called_names, small):
    with pytest.raises(
        AssertionError, match=r"drop has a dropout rate of 0\.3, the spec's drop has 0\.5"
    ):
        assert_same(call(rate=0.3), called, small, names={**called_names, **more})
