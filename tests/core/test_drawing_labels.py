"""Pictures: labels of boxes, which blocks are folded to one, and what colors mean."""

import textwrap
from xml.etree import ElementTree as ET

import pytest
from pictures import SVG, Picture, is_box, is_small

import zoo
from zoo import ops
from zoo.views.drawing import labels, routing, svg
from zoo.views.drawing.block_labels import Captions
from zoo.views.drawing.scene import Box, Frame


def test_every_operation_has_a_color():
    for name in ops.OPS:
        assert labels.family_of(name) in labels.FAMILIES, name


def test_the_color_of_an_operation_of_another_package(prelu):
    assert labels.family_of("prelu") == "activation"
    assert labels.family_of("never_registered") == "arranging"


def test_a_short_chain_is_labeled_in_its_order(spec_file):
    path = spec_file(
        """
        first: {layers: {conv: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, groups: 4}, bn: {op: batch_norm}, relu: {op: relu}}}
        second: {layers: {pool: {op: max_pool, kernel_size: [3, 2], stride: 1}, conv: {op: conv, out_channels: 8, kernel_size: 1, groups: 8}, relu: {op: relu}}}
        flatten: {op: flatten}
        """,
        header="options: {in_channels: 4, input_size: 16}\n",
    )
    texts = [t.text for t in Picture(zoo.draw(path).svg).root.iter(f"{SVG}text")]
    assert "depthwise conv 3x3 /2, BN, relu" in texts
    assert "max pool 3x2, depthwise conv 1x1" in texts


def boxes_of(*arguments, **options) -> dict[str, tuple[str, str, str]]:
    """Name -> title, label and family of each box of a picture."""
    root = Picture(zoo.draw(*arguments, **options).svg).root
    groups = [g for g in root.iter(f"{SVG}g") if g.get("data-name") is not None and is_box(g)]
    texts = {g.get("data-name"): {t.get("class"): t.text for t in g} for g in groups}
    families = {g.get("data-name"): g.get("class").removeprefix("box ") for g in groups}
    return {
        name: (text["title"], text.get("words", ""), families[name]) for name, text in texts.items()
    }


def test_a_block_of_one_main_operation_says_it_and_has_its_color():
    boxes = boxes_of("inception_module_naive", depth=2)
    assert boxes["inception.branch_pool"] == ("branch_pool", "max pool 3x3", "pooling")
    assert boxes["inception.branch3x3"] == ("branch3x3", "conv 3x3, relu", "convolution")
    boxes = boxes_of("resnet50_v2")
    assert boxes["norm"] == ("norm", "BN, relu", "normalization")


def test_a_block_that_convolves_and_pools_has_neither_color():
    words = "conv 1x1, avg pool 2x2 /2"
    assert boxes_of("densenet121")["transition1"] == ("transition1", words, "block")
    assert boxes_of("googlenet", depth=2)["inception3a.branch_pool"][2] == "block"


@pytest.mark.parametrize(
    ("name", "depth"),
    [("googlenet", 2), ("googlenet", 3), ("resnet50", 2), ("resnet50", 3), ("inception_v3", 2)],
)
def test_a_picture_has_one_level_of_detail(name, depth):
    """Either all chains of a convolution and its companions are folded, or none is."""
    graph = zoo.graph(name)
    boxes = boxes_of(graph, depth=depth)
    shown = [
        graph[name] for name in boxes if name != "input" and " " not in name and "-" not in name
    ]
    assert any(is_small(child) for child in shown)
    around = [graph[child.name.rpartition(".")[0]] for child in shown if "." in child.name]
    assert not [block.name for block in around if is_small(block)]


def test_the_deepest_level_shows_every_operation():
    assert str(zoo.draw("googlenet", depth=4)) == str(zoo.draw("googlenet", depth=None))
    assert "inception3a.branch1x1.conv" in boxes_of("googlenet", block="inception3a", depth=3)


def test_runs_of_equal_blocks_are_one_box():
    boxes = boxes_of("inception_resnet_v2")
    assert boxes["residual_b1-20"][0] == "residual_b1-20, × 20"
    assert boxes["residual_b1-20"][1] == "residual, 1,126,784 parameters each"
    assert "residual_c1-9" in boxes
    assert "residual_c10" in boxes  # without activation, so not one of them
    # Rates at which training drops blocks differ from block to block.
    assert boxes_of("convnext_tiny", depth=2)["stage3.block1-9"][0] == "block1-9, × 9"
    boxes = boxes_of("resnet50", depth=2)
    assert {"layer2.block1", "layer2.block2-4"} <= boxes.keys()


def test_runs_are_kept_apart_from_others():
    """Blocks with other arguments, other shapes or other readers are not folded together."""
    assert {"block7", "block8", "block9-10", "block11"} <= boxes_of("mobilenet_v3_large").keys()
    assert {"mixed6b", "mixed6c-6d", "mixed6e"} <= boxes_of("inception_v3").keys()
    names = [name for name in boxes_of("googlenet", aux=True) if name.startswith("inception")]
    assert len(names) == 9


def test_what_ends_a_run_has_its_output(spec_file):
    blocks = """
    blocks:
      pair: {layers: {one: {op: relu}, two: {op: concat, from: [input, one]}, three: {op: slice, stop: 3}, four: {op: relu}, five: {op: relu}}}
    """
    path = spec_file(
        "a: {block: pair, repeat: 3}\nflatten: {op: flatten}", header=textwrap.dedent(blocks)
    )
    picture = Picture(zoo.draw(path).svg)
    assert picture.edges == {
        ("input", "a1-3"),
        ("a1-3", "flatten"),
        ("flatten", "output logits"),
    }
    picture = Picture(zoo.draw(path, depth=2).svg)
    assert ("a1.five", "a2.one") in picture.edges


@pytest.mark.parametrize(
    ("name", "box", "words"),
    [
        ("resnet50", "layer3", "6 × bottleneck 3x3, relu"),
        ("resnext50_32x4d", "layer1", "3 × bottleneck 3x3, 32 groups, relu"),
        ("shufflenet_v2_x1_0", "stage2", "down 3x3 /2, relu, 3 × unit 3x3, relu"),
        ("vgg16", "stage3", "3 × conv 3x3, max pool 2x2 /2"),
        ("convnext_tiny", "stage2", "conv 2x2 /2, 3 × block 7x7, gelu"),
        ("efficientnet_b0", "stage3", "2 × mbconv 5x5, SE, silu"),
        ("mobilenet_v2", "stage1", "bottleneck 3x3, relu6"),
        ("mobilenet_v3_large", "block4", "bneck 5x5 /2, SE, relu"),
        ("mobilenet_v3_large", "block7", "bneck 3x3 /2, hard swish"),
        ("mobilenet_v3_large", "block13", "bneck 5x5 /2, SE, hard swish"),
        ("googlenet", "conv2", "conv 1x1, conv 3x3"),
        ("inception_v4", "stem", "605,728 parameters"),
        ("googlenet", "inception3a", "inception, 163,696 parameters"),
    ],
)
def test_a_folded_block_says_what_it_is_made_of(name, box, words):
    assert boxes_of(name)[box][1] == words


def test_blocks_of_a_kind_have_labels_alike():
    """A block without a shortcut is a chain, but is labeled like the others of its kind."""
    boxes = boxes_of("mobilenet_v2", depth=2)
    assert boxes["stage6.block1"][1] == "bottleneck 3x3 /2, relu6"
    assert boxes["stage7.block1"][1] == "bottleneck 3x3, relu6"
    # Even one that is a single convolution, and what contains it.
    boxes = boxes_of("efficientnet_v2_b0", depth=2)
    assert boxes["stage1.block1"][1:] == ("fused_mbconv 3x3, silu", "block")
    assert boxes["stage2.block2"][1:] == ("fused_mbconv 3x3, silu", "block")
    assert boxes_of("efficientnet_v2_b1")["stage1"][1] == "2 × fused_mbconv 3x3, silu"


def test_blocks_of_a_kind_have_labels_alike_with_one_kernel_and_with_two(spec_file):
    blocks = """
    options: {in_channels: 8}
    blocks:
      residual:
        parameters: {kernel_size: 3, stride: 1}
        layers:
          conv1: {op: conv, out_channels: 8, kernel_size: $kernel_size, stride: $stride, padding: same}
          conv2: {op: conv, out_channels: 8, kernel_size: 3, padding: same}
          shortcut: {op: conv, from: input, out_channels: 8, kernel_size: 1, stride: $stride}
          add: {op: add, from: [conv2, shortcut]}
          relu: {op: relu}
    """
    layers = """
    one: {block: residual}
    two: {block: residual, kernel_size: 5, stride: 2}
    residual: {block: residual, kernel_size: 5}
    """
    boxes = boxes_of(spec_file(layers, header=textwrap.dedent(blocks)))
    assert [boxes[name][1] for name in ("one", "two", "residual")] == [
        "residual 3x3, relu",
        "residual 5x5 /2, 3x3, relu",
        "5x5, 3x3, relu",  # its name is its kind
    ]


def test_companions_are_listed_by_all_blocks_of_a_kind_or_by_none():
    """Otherwise they seem to be missing where a chain is longer."""
    boxes = boxes_of("inception_v3", depth=2)
    assert boxes["mixed6a.branch3x3"][1] == "conv 3x3 /2"
    assert boxes["mixed7a.branch3x3"][1] == "conv 1x1, 3x3 /2"


def test_networks_that_are_compared_have_labels_alike():
    old, new = zoo.graph("googlenet"), zoo.graph("googlenet_no_reduce")
    captions = Captions(old.root, new.root)
    assert captions.label(old["conv2"]) == "conv 1x1, conv 3x3"
    assert captions.label(new["conv2"]) == "conv 3x3"
    assert Captions(new.root).label(new["conv2"]) == "conv 3x3, relu"


def test_a_chain_too_long_for_its_box_is_labeled_shorter():
    """So are all of its kind."""
    boxes = boxes_of("inception_v3", depth=2)
    assert boxes["mixed6b.branch_double7x7"][1] == "conv 1x1, 7x1, 1x7, 7x1, 1x7"
    assert boxes["mixed6b.branch7x7"][1] == "conv 1x1, 1x7, 7x1"
    boxes = boxes_of("shufflenet_v2_x1_0", depth=3)
    assert boxes["stage2.down.branch"][1] == "conv 1x1, depthwise 3x3 /2, conv 1x1"


def test_grouped_convolutions_say_how_many_groups():
    boxes = boxes_of("resnext50_32x4d", depth=2, block="layer1")
    assert boxes["layer1.block1.conv2"][1] == "conv 3x3, 32 groups, BN, relu"


def test_text_is_escaped():
    place = routing.frame(Frame("", "", (Box("a", "<&\x01>", 'b"', "block"),) * 2, ((0, 1),)))
    text = svg.write(place, "<&\x00]]>", "&amp;", "<b>")
    root = ET.fromstring(text)
    assert root.find(f"{SVG}title").text == "<&\ufffd]]>"
    assert root.find(f"{SVG}desc").text == "<b>"
    assert "&amp;" in {t.text for t in root.iter(f"{SVG}text")}
