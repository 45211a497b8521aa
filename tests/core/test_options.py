"""What a caller may choose of a network: classes, channels, input size and auxiliary heads."""

import numpy as np
import pytest

import zoo
from zoo.errors import InputError, SpecError
from zoo.language import graphs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": -1}, "num_classes must be an integer from 0 to 1,000,000, got -1"),
        ({"in_channels": 2.5}, "in_channels must be an integer from 1 to 1,000,000, got 2.5"),
        ({"num_classes": True}, "num_classes must be an integer"),
        ({"input_size": "224"}, "input_size must be an integer from 1 to 8192 or"),
        ({"input_size": (224,)}, "input_size must be an integer"),
        ({"input_size": 100_000}, "input_size must be an integer from 1 to 8192"),
        (
            {"classes": {"cat": 0, "dog": 1}},
            "list of the names of the classes in the order of their",
        ),
        ({"classes": {"cat", "dog"}}, "list of the names of the classes in the order of their"),
        ({"aux": 1}, "aux must be True or False, got 1"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        zoo.graph("googlenet", **options)


def test_numpy_integers_are_options():
    options = {"num_classes": np.int64(10), "input_size": np.array([64, 96]).tolist()}
    graph = zoo.graph("googlenet", in_channels=np.uint8(1), **options)
    assert graph.options["num_classes"] == 10
    assert graph.input_shape == (1, 64, 96)
    assert type(graph.input_shape[0]) is int


def test_heads_that_a_variant_left_out():
    with pytest.raises(InputError, match="googlenet_slim has no auxiliary heads; build it with"):
        zoo.graph("googlenet_slim", aux=True)


def test_heads_that_a_model_has_not():
    with pytest.raises(InputError, match="vgg16 has no auxiliary heads; build it with aux=False"):
        zoo.graph("vgg16", aux=True)


def test_an_input_too_small_names_the_node_it_fails_at():
    with pytest.raises(
        SpecError, match=r"in 'aux1.pool' of googlenet: the 5x5 window is larger than"
    ):
        zoo.graph("googlenet", input_size=64, aux=True)


def test_heads_of_several_layers_are_left_out_by_declaration(spec_file):
    layers = """
    a: {op: conv, out_channels: 2, kernel_size: 1}
    h1: {op: conv, out_channels: 2, kernel_size: 1, when: $aux}
    h2: {op: conv, out_channels: 2, kernel_size: 1, when: $aux}
    b: {op: relu, from: a}
    """
    header = "outputs: {logits: {from: b}, aux1: {from: h2}}\n"
    assert zoo.graph(spec_file(layers, header=header)).omitted == ("h1", "h2")


def test_heads_are_left_out_by_name_where_the_input_is_too_small_for_them():
    small = zoo.graph("googlenet", input_size=64)
    with pytest.raises(SpecError, match="aux1.pool"):
        zoo.graph("googlenet", input_size=64, aux=True)
    assert graphs.left_out(small) == graphs.left_out(zoo.graph("googlenet"))
