"""Which other sizes of input a network takes, and why it refuses the rest."""

from __future__ import annotations

import pytest

import zoo
from zoo.errors import InputError
from zoo.language.sizes import check, has_same_parameters, resized, takes_any

SAME = """
    conv: {op: conv, out_channels: 4, kernel_size: 3, stride: 2, padding: same}
    pool: {op: global_avg_pool}
    flatten: {op: flatten}
    fc: {op: linear, out_features: $num_classes}
"""


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "regnet_y_400mf",
                                  "efficientnet_b0", "shufflenet_v2_x1_0", "convnext_tiny",
                                  "vgg16_bn", "alexnet"])  # fmt: skip
def test_networks_of_any_size_are_those_that_torchvision_takes_at_any(name):
    graph = zoo.graph(name)
    assert takes_any(graph) and has_same_parameters(graph)
    for size in ((225, 300), (97, 64), (128, 511)):
        check(graph, (1, 3, *size))
        check(graph, (1, *size, 3), channels_last=True)


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("googlenet", (225, 231), r"ceil_mode would pad pool1 by \[0, 0, 0, 1\] instead of"),
        ("mobilenet_v2_keras", (225, 224), "padding: same would pad stem.conv by"),
        ("vgg9", (225, 64), "fc1 would read 7168 values instead of 25088"),
        ("resnet18", (9_000, 64), "its sides must be from 1 to 8192"),
        (
            "alexnet",
            (20, 224),
            "at this size, in 'pool2' of alexnet: the 3x3 window is larger than its 1x27",
        ),
    ],
)
def test_a_refusal_says_which_layer_would_change(name, size, reason):
    with pytest.raises(InputError, match=reason) as caught:
        check(zoo.graph(name), (1, 3, *size))
    assert "was built for inputs [N, 3, 224, 224], got [1, 3," in str(caught.value)


def test_sizes_that_are_padded_alike_are_taken(spec_file):
    graph = zoo.graph(spec_file(SAME), input_size=32)
    for even in (16, 64, 258):
        check(graph, (1, 3, even, even))
    with pytest.raises(InputError, match="padding: same would pad conv"):
        check(graph, (1, 3, 33, 32))
    assert not takes_any(graph)  # of a size that is not known
    with pytest.raises(InputError, match=r"got \[8, 3, \?, 32\]; a size that is not known yet"):
        check(graph, (8, 3, -1, 32))
    check(zoo.graph("resnet18"), (None, 3, None, None))


def test_a_spec_that_reads_the_size_of_its_input_is_of_that_size(spec_file):
    layers = """
    conv: {op: conv, out_channels: "8 if $input.height > 40 else 4", kernel_size: 3}
    more: {op: relu, when: "$input_size[0] > 50"}
    pool: {op: global_avg_pool}
    flatten: {op: flatten}
    fc: {op: linear, out_features: 5}
    """
    graph = zoo.graph(spec_file(layers), input_size=32)
    assert not takes_any(graph) and has_same_parameters(graph)
    check(graph, (1, 3, 40, 99))
    with pytest.raises(InputError, match="conv would have another out_channels"):
        check(graph, (1, 3, 41, 32))
    with pytest.raises(InputError, match="its spec has other layers"):
        check(graph, (1, 3, 51, 32))


def test_other_channels_and_no_maps():
    with pytest.raises(InputError, match="the channels are on another axis; transpose it"):
        check(zoo.graph("resnet18"), (1, 224, 224, 3))
    with pytest.raises(InputError, match="for other channels, build it with in_channels=1"):
        check(zoo.graph("resnet18"), (1, 1, 224, 224))
    with pytest.raises(InputError, match="pass a batch of images"):
        check(zoo.graph("resnet18"), (3, 224, 224))


def test_what_a_user_changed_in_a_graph_stays():
    """Only the size is compared, not a dropout that was turned off or classes that were renamed."""
    graph = zoo.graph("mobilenet_v2", classes=["cat", "dog"]).without_dropout()
    check(graph, (1, 3, 256, 192))
    assert resized(graph, 256, 192).classes == ("cat", "dog")
