"""Every operation, in every framework, against its NumPy meaning: float64, at most 1e-12.

Hypothesis makes the cases: odd sizes, strides, ceil edges, asymmetric padding, groups, dilation.
The NumPy meaning is held in turn by PyTorch's own layers, which zoo/torch uses as they are.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import zoo
from zoo import ops
from zoo.errors import SpecError
from zoo.verification.comparison import error

TOLERANCE = 1e-12

small = st.integers(1, 3)


def yaml(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def layer(op: str, **fields) -> str:
    return "{" + ", ".join([f"op: {op}", *(f"{k}: {yaml(v)}" for k, v in fields.items())]) + "}"


def pads(most: int):
    return st.one_of(
        st.integers(0, most),
        st.lists(st.integers(0, most), min_size=2, max_size=2),
        st.lists(st.integers(0, most), min_size=4, max_size=4),
        st.just("same"),
    )


@st.composite
def convs(draw):
    groups = draw(small)
    dilated = draw(st.booleans())
    fields = {
        "out_channels": groups * draw(small),
        "kernel_size": [draw(st.integers(1, 4)), draw(st.integers(1, 4))],
        "stride": 1 if dilated else [draw(small), draw(small)],
        "padding": draw(pads(3)),
        "dilation": [draw(small), draw(small)] if dilated else 1,
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return groups * draw(small), [layer("conv", **fields)]


@st.composite
def pools(draw, op):
    fields = {
        "kernel_size": [draw(st.integers(1, 4)), draw(st.integers(1, 4))],
        "stride": [draw(small), draw(small)],
        "padding": draw(pads(2)),
        "ceil_mode": draw(st.booleans()),
    }
    if op == "avg_pool":
        fields["count_include_pad"] = draw(st.booleans())
    return draw(small), [layer(op, **fields)]


@st.composite
def adaptive_pools(draw):
    size = [draw(st.integers(1, 5)), draw(st.integers(1, 5))]
    return draw(small), [layer("adaptive_avg_pool", output_size=size)]


@st.composite
def linears(draw):
    channels = draw(small)
    tail = [layer("linear", out_features=draw(st.integers(1, 5)), bias=draw(st.booleans()))]
    between = draw(
        st.lists(st.sampled_from([layer("relu"), layer("dropout", rate=0.5)]), max_size=2)
    )
    return channels, [layer("flatten"), *between, *tail]


@st.composite
def norms(draw, op):
    fields = {"shift": draw(st.booleans())}
    if op == "affine":
        fields["scale_init"] = draw(st.sampled_from([1.0, 1e-6]))
    else:
        fields |= {"scale": draw(st.booleans()), "eps": draw(st.sampled_from([1e-5, 1e-3]))}
    norm = layer(op, **fields)
    if draw(st.booleans()):
        return draw(small), [norm]
    return draw(small), [layer("global_avg_pool"), layer("flatten"), norm]


@st.composite
def lrns(draw):
    fields = {
        "size": draw(st.sampled_from([1, 3, 5, 7])),
        "alpha": draw(st.sampled_from([1e-4, 0.3, 5.0])),
        "beta": draw(st.sampled_from([0.75, 0.5, 1.0])),
        "k": draw(st.sampled_from([1.0, 2.0])),
    }
    return draw(st.integers(1, 9)), [layer("lrn", **fields)]


@st.composite
def joins(draw, op):
    names = draw(st.lists(st.sampled_from(["input", "a", "b"]), min_size=1, max_size=4))
    layers = ["a: {op: relu, from: input}", "b: {op: dropout, rate: 0.5, from: input}"]
    used = [text for text in layers if text[0] in names]
    return draw(small), [*used, f"j: {{op: {op}, from: [{', '.join(names)}]}}"]


@st.composite
def activations(draw, op):
    """On maps and on what is flattened, of values well beyond where a function bends."""
    layers = [layer("scale", factor=5), layer(op)]
    if draw(st.booleans()):
        layers = [layer("flatten"), *layers, layer("linear", out_features=2)]
    return draw(small), layers


@st.composite
def gates(draw):
    """A map by itself, by another, and by one value a channel, from either side."""
    gate = "s: {from: input, layers: {p: {op: global_avg_pool}, g: {op: sigmoid}}}"
    sources = draw(st.permutations(["input", "s"]))[: draw(st.integers(1, 2))]
    used = [gate] if "s" in sources else []
    extra = draw(st.lists(st.just("input"), max_size=2))
    return draw(small), [*used, f"j: {{op: multiply, from: [{', '.join([*sources, *extra])}]}}"]


@st.composite
def slices(draw):
    channels = draw(st.integers(2, 6))
    start = draw(st.integers(0, channels - 1))
    return channels, [layer("slice", start=start, stop=draw(st.integers(start + 1, channels)))]


@st.composite
def selections(draw):
    channels = draw(st.integers(1, 5))
    chosen = draw(st.lists(st.integers(0, channels - 1), min_size=1, max_size=7))
    return channels, [layer("select", channels=chosen)]


@st.composite
def shuffles(draw):
    groups = draw(st.integers(1, 4))
    return groups * draw(small), [layer("channel_shuffle", groups=groups)]


CASES = {
    "conv": convs(),
    "linear": linears(),
    "batch_norm": norms("batch_norm"),
    "layer_norm": norms("layer_norm"),
    "affine": norms("affine"),
    "lrn": lrns(),
    "relu": activations("relu"),
    "relu6": activations("relu6"),
    "sigmoid": activations("sigmoid"),
    "tanh": activations("tanh"),
    "hard_sigmoid": activations("hard_sigmoid"),
    "hard_swish": activations("hard_swish"),
    "silu": activations("silu"),
    "gelu": activations("gelu"),
    "dropout": st.tuples(small, st.just([layer("dropout", rate=0.5)])),
    "stochastic_depth": st.tuples(small, st.just([layer("stochastic_depth", rate=0.5)])),
    "max_pool": pools("max_pool"),
    "avg_pool": pools("avg_pool"),
    "global_avg_pool": st.tuples(small, st.just([layer("global_avg_pool")])),
    "adaptive_avg_pool": adaptive_pools(),
    "scale": st.tuples(
        small,
        st.just([layer("flatten"), layer("scale", factor=0.3), layer("linear", out_features=2)]),
    ),
    "flatten": st.tuples(small, st.just([layer("flatten")])),
    "concat": joins("concat"),
    "add": joins("add"),
    "multiply": gates(),
    "slice": slices(),
    "select": selections(),
    "channel_shuffle": shuffles(),
    "pad_channels": st.tuples(
        small, st.sampled_from([[layer("pad_channels", padding=p)] for p in ([1, 2], [0, 3], 1)])
    ),
}
MANY = {"conv": 40, "max_pool": 40, "avg_pool": 40}


def test_every_operation_has_its_cases():
    assert set(CASES) == set(ops.OPS)


@pytest.mark.parametrize("op", CASES)
def test_operation(op, framework, backend, tmp_path):
    path = tmp_path / "case.yaml"
    compared = 0

    @settings(
        max_examples=MANY.get(op, 12),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES[op], st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
    def check(case, height, width, batch):
        nonlocal compared
        channels, layers = case
        lines = [
            text if ":" in text.split("{")[0] else f"n{i}: {text}" for i, text in enumerate(layers)
        ]
        path.write_text(
            "format: 1\nname: case\nlayers:\n" + "".join(f"  {line}\n" for line in lines)
        )
        options = {"in_channels": channels, "input_size": (height, width)}
        try:
            graph = zoo.graph(str(path), **options)
        except SpecError:  # a window larger than its input, or nothing but padding
            assume(False)
        compared += 1
        generator = np.random.default_rng(height * 10 + width)
        x = generator.standard_normal((batch, channels, height, width)) - 1  # mostly negative
        weights = {p.name: generator.uniform(0.5, 1.5, p.shape) for p in graph.parameters}
        model = zoo.build(str(path), backend, **options, dtype="float64")
        zoo.set_weights(model, weights)
        node = graph.nodes[-1].name
        reference = dict(ops.steps(graph, x, weights))[node]
        assert error(zoo.features(model, x, node)[node], reference) <= TOLERANCE
        assert error(zoo.predict(model, x), reference) <= TOLERANCE

    check()
    assert compared >= 5
