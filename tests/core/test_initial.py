"""Initial weights: bounds and spread, stable bits, no framework and no global state."""

import math
import random

import numpy as np
import pytest

import zoo
from zoo.errors import InputError, UnknownNameError
from zoo.weights import initial


def drawn(name="googlenet", **options):
    graph = zoo.graph(name)
    draw = initial.drawing(graph, **options)
    only = options.get("only")
    return {p.name: (p, draw(p)) for p in graph.parameters if only is None or p.name in only}


@pytest.mark.parametrize(("init", "fans"), [("he_uniform", (1, 0)), ("glorot_uniform", (1, 1))])
def test_uniform_bounds(init, fans):
    for parameter, value in drawn(init=init).values():
        if parameter.constant is not None:
            assert (value == parameter.constant).all()
            continue
        bound = math.sqrt(6 / (fans[0] * parameter.fan_in + fans[1] * parameter.fan_out))
        assert np.abs(value).max() <= np.float32(bound)
        if value.size > 10_000:
            assert value.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
            assert abs(value.mean()) < 0.02 * bound


def test_fans_are_those_of_the_literature():
    conv = zoo.graph("googlenet").node("inception3a.branch5x5.conv.conv").parameters[0]
    assert (conv.fan_in, conv.fan_out) == (16 * 25, 32 * 25)
    linear = zoo.graph("googlenet").node("fc").parameters[0]
    assert (linear.fan_in, linear.fan_out) == (1024, 1000)


def test_the_paper_of_vgg_and_none_of_googlenet():
    values = drawn("vgg11", init="paper", only={"stage5.conv2.conv.weight", "fc1.bias"})
    kernel = values["stage5.conv2.conv.weight"][1]
    assert kernel.std() == pytest.approx(0.1, rel=0.01)
    assert abs(kernel.mean()) < 1e-3
    assert not values["fc1.bias"][1].any()
    with pytest.raises(
        UnknownNameError, match="the spec of googlenet does not state its paper's initialization"
    ):
        initial.drawing(zoo.graph("googlenet"), init="paper")


def test_one_seed_gives_one_set_of_bits_and_another_gives_others():
    first, again, other = drawn(seed=3), drawn(seed=3), drawn(seed=4)
    for name, (parameter, value) in first.items():
        assert value.tobytes() == again[name][1].tobytes()
        if parameter.constant is None:
            assert not np.array_equal(value, other[name][1])


def test_the_streams_are_those_that_are_written_down():
    """Recomputed here from the definition, so that it can never change unnoticed."""
    import hashlib

    graph = zoo.graph("googlenet")
    parameter = graph.node("fc").parameters[0]
    found = initial.drawing(graph, 7)(parameter).ravel()
    for stream in (0, 3):
        digest = hashlib.sha256(f"7|googlenet|fc.weight|{stream}".encode()).digest()
        raw = int(np.random.SFC64(int.from_bytes(digest[:16], "little")).random_raw())
        low = raw & 0xFFFFFFFF  # the low half comes first, as a signed integer
        signed = low - 2**32 if low >= 2**31 else low
        expected = np.float32((signed // 128) | 1) * np.float32(math.sqrt(6 / 1024) / 2**24)
        assert found[stream * 2**17] == expected


def test_wider_dtypes_hold_the_same_numbers():
    narrow, wide = drawn(), drawn(dtype="float64")
    for name, (_, value) in narrow.items():
        assert wide[name][1].dtype == np.float64
        assert np.array_equal(value.astype(np.float64), wide[name][1])
    half = drawn(dtype="bfloat16")["fc.weight"][1]
    assert half.dtype.name == "bfloat16"


def test_long_parameters_take_several_streams_and_no_global_state():
    random.seed(5)
    np.random.seed(5)
    states = random.getstate(), np.random.get_state()[1].tobytes()
    graph = zoo.graph("vgg11", input_size=32)
    draw = initial.drawing(graph)
    values = {p.name: draw(p) for p in graph.parameters}
    weight = values["fc2.weight"].ravel()  # 16.8 million: 128 streams
    assert len(np.unique(weight[:: 1 << 17])) == 128
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == states


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"init": "he_unifrom"},
            UnknownNameError,
            "unknown init 'he_unifrom'. Did you mean 'he_un",
        ),
        ({"init": "zeros"}, UnknownNameError, "unknown init 'zeros'. Known: he_uniform, glorot"),
        ({"dtype": "float23"}, UnknownNameError, "unknown dtype 'float23'. Did you mean 'float"),
        ({"seed": 1.5}, InputError, "seed must be an integer, got 1.5"),
    ],
)
def test_mistakes(options, error, message):
    with pytest.raises(error, match=message):
        initial.drawing(zoo.graph("googlenet"), **options)


def test_caffes_filler_as_the_spec_states_it():
    graph = zoo.graph("googlenet_bvlc")
    draw = initial.drawing(graph, init="paper")
    weight, bias = (draw(p) for p in graph.node("inception4e.branch3x3.conv.conv").parameters)
    bound = math.sqrt(3 / (160 * 3 * 3))  # Caffe's xavier: of the inputs alone
    assert np.abs(weight).max() == pytest.approx(bound, rel=1e-4)
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=1e-2)
    assert np.all(bias == np.float32(0.2))
