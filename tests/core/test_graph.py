"""Graphs: what the language means, and that everything is explicit."""

import json

import jsonschema
import numpy as np
import pytest

import zoo
from zoo import ops
from zoo.errors import InputError, UnknownNameError
from zoo.language import catalog, document, schema


def test_list_models_takes_a_pattern():
    assert zoo.list_models("vgg*") == [name for name in zoo.list_models() if name.startswith("vgg")]
    assert zoo.list_models("nothing*") == []


def test_padding_and_ceil_are_resolved():
    graph = zoo.graph("googlenet")
    assert graph.node("pool1").attributes["padding"] == (0, 1, 0, 1)
    assert graph.node("conv1.conv").attributes["padding"] == (3, 3, 3, 3)
    tutorial = zoo.graph("googlenet_tutorial")
    assert tutorial.node("pool1").attributes["padding"] == (1, 1, 1, 1)


def test_a_path_works_wherever_a_name_does():
    path = catalog.folder() / "vgg.yaml"
    assert zoo.graph(f"{path}:vgg16").num_parameters == zoo.graph("vgg16").num_parameters
    assert zoo.graph(str(path)).name == "vgg11"  # the first


def test_a_graph_is_its_own_graph():
    graph = zoo.graph("googlenet", aux=True, num_classes=10)
    assert zoo.graph(graph) is graph
    for option in ({"aux": True}, {"num_classes": 0}, {"input_size": 256}, {"classes": ["a"]}):
        with pytest.raises(InputError, match=f"{next(iter(option))}.*already has its options"):
            zoo.graph(graph, **option)


def test_options():
    graph = zoo.graph("googlenet", num_classes=10, in_channels=1, input_size=(96, 128))
    assert graph.input_shape == (1, 96, 128)
    assert graph.root.shape == (10,)
    assert graph.node("conv1.conv").parameters[0].shape == (64, 1, 7, 7)
    assert graph.published == {}, "the paper's figures are those of its own input"


def test_auxiliary_heads():
    graph = zoo.graph("googlenet", aux=True)
    assert [(o.name, o.loss_weight) for o in graph.outputs] == [
        ("logits", 1.0),
        ("aux1", 0.3),
        ("aux2", 0.3),
    ]
    assert graph.omitted == ()
    plain = zoo.graph("googlenet")
    assert plain.omitted == ("aux1", "aux2")
    assert not [p.name for p in plain.parameters if p.name.startswith("aux")]
    assert graph.node("aux1.conv").op == "relu", "the head's convolution has its activation"
    assert zoo.graph("googlenet_tutorial", aux=True).node("aux1.conv").op == "conv"


def test_a_left_out_layer_stands_for_its_input():
    graph = zoo.graph("googlenet_no_reduce")
    assert graph.node("conv2.conv.conv").inputs == ("norm1",)
    with pytest.raises(UnknownNameError, match=r"has no node or block 'conv2.reduce'"):
        graph.node("conv2.reduce")


def test_nodes_are_found_by_path_and_blocks_stand_for_their_output():
    graph = zoo.graph("googlenet")
    assert graph.node("inception3a").name == "inception3a.concat"
    assert graph["inception3a"].kind == "inception"
    with pytest.raises(
        UnknownNameError, match="no node or block 'inception3z'. Did you mean 'incep"
    ):
        graph.node("inception3z")


def test_the_language_carries_a_residual_network(spec_file):
    """Shortcuts only where shapes change, repetition, depth-indexed values, round_to, groups."""
    header = """
    options: {num_classes: 10, in_channels: 3, input_size: 32}
    settings: {widths: [8, 12], depths: [2, 3], scale: 1.5}
    blocks:
      basic:
        parameters: {channels: ~, stride: 1, groups: $channels // 4}
        layers:
          conv1: {op: conv, out_channels: $channels, kernel_size: 3, stride: $stride, padding: same, bias: false}
          bn1: {op: batch_norm}
          relu1: {op: relu}
          conv2: {op: conv, out_channels: $channels, kernel_size: 3, padding: 2, dilation: 2, groups: $groups}
          shortcut:
            from: input
            when: $stride != 1 or $input.channels != $channels
            layers:
              conv: {op: conv, out_channels: $channels, kernel_size: 1, stride: $stride}
              bn: {op: batch_norm, scale: false}
          add: {op: add, from: [conv2, shortcut]}
          relu2: {op: relu}
      stage:
        parameters: {channels: ~, depth: ~, stride: ~}
        layers:
          first: {block: basic, channels: $channels, stride: $stride}
          block: {block: basic, repeat: $depth - 1, channels: $channels}
    """
    layers = """
    stage1: {block: stage, channels: "round_to($widths[0] * $scale, 4)", depth: "$depths[0]", stride: 1}
    stage2: {block: stage, channels: "round_to($widths[1] * $scale, 4)", depth: "$depths[1]", stride: 2}
    pool: {op: global_avg_pool}
    flatten: {op: flatten}
    fc: {op: linear, out_features: $num_classes}
    """
    graph = zoo.graph(spec_file(layers, header=header))
    names = [node.name for node in graph.nodes]
    assert "stage1.first.shortcut.conv" in names  # 3 -> 12 channels
    assert "stage1.block1.shortcut.conv" not in names
    assert "stage2.first.shortcut.conv" in names
    assert [n for n in names if n.endswith(".add")] == [
        "stage1.first.add", "stage1.block1.add", "stage2.first.add", "stage2.block1.add",
        "stage2.block2.add",
    ]  # fmt: skip
    assert graph.node("stage1.block1.add").inputs == ("stage1.block1.conv2", "stage1.first.relu2")
    assert graph.node("stage2").shape == (20, 16, 16)
    conv = graph.node("stage2.block2.conv2")
    assert (conv.attributes["groups"], conv.attributes["dilation"]) == (5, (2, 2))
    assert graph.node("stage2.first.conv1").attributes["padding"] == (0, 1, 0, 1)


def test_a_blocks_defaults_may_read_its_input(spec_file):
    """Squeeze-and-excite reduces the channels of the block's input, whatever is before it within."""
    header = """
    options: {num_classes: 10, in_channels: 8, input_size: 4}
    blocks:
      unit:
        parameters: {channels: ~, reduced: $input.channels // 4, project: $input.channels != $channels}
        layers:
          conv: {op: conv, out_channels: $channels, kernel_size: 1}
          reduce: {op: conv, out_channels: $reduced, kernel_size: 1}
          expand: {op: conv, out_channels: $channels, kernel_size: 1}
          shortcut: {op: conv, from: input, when: $project, out_channels: $channels, kernel_size: 1}
          add: {op: add, from: [expand, shortcut]}
    """
    graph = zoo.graph(spec_file("u: {block: unit, repeat: 2, channels: 16}", header=header))
    convs = [(n.name, n.shape[0]) for n in graph.nodes if n.op == "conv"]
    assert convs == [
        ("u1.conv", 16), ("u1.reduce", 2), ("u1.expand", 16), ("u1.shortcut", 16),
        ("u2.conv", 16), ("u2.reduce", 4), ("u2.expand", 16),
    ]  # fmt: skip


def test_a_layer_of_several_inputs_that_is_left_out_stands_for_its_first(spec_file):
    """An inverted residual adds its input only where it has the shape of its output."""
    header = """
    options: {num_classes: 10, in_channels: 8, input_size: 4}
    blocks:
      unit:
        parameters: {channels: ~, residual: $input.channels == $channels}
        layers:
          conv: {op: conv, out_channels: $channels, kernel_size: 1}
          add: {op: add, from: [conv, input], when: $residual}
    """
    graph = zoo.graph(spec_file("u: {block: unit, repeat: 2, channels: 16}", header=header))
    assert [(n.name, n.inputs) for n in graph.nodes] == [
        ("u1.conv", ("input",)), ("u2.conv", ("u1.conv",)), ("u2.add", ("u2.conv", "u1.conv")),
    ]  # fmt: skip


def test_a_branch_that_only_a_left_out_layer_reads_is_a_mistake(spec_file):
    layers = """
    a: {op: relu}
    b: {op: tanh, from: input}
    add: {op: add, from: [a, b], when: false}
    """
    with pytest.raises(zoo.SpecError, match="'b' of tiny: no layer reads its output"):
        zoo.graph(spec_file(layers))


def test_the_language_carries_dense_concatenation(spec_file):
    header = """
    options: {num_classes: 10, in_channels: 4, input_size: 8}
    blocks:
      dense_layer:
        parameters: {growth: ~}
        layers:
          conv: {op: conv, out_channels: $growth, kernel_size: 3, padding: 1}
          concat: {op: concat, from: [input, conv]}
    """
    graph = zoo.graph(spec_file("d: {block: dense_layer, repeat: 3, growth: 2}", header=header))
    assert [graph.node(f"d{i}").shape[0] for i in (1, 2, 3)] == [6, 8, 10]


def test_items_of_a_list_are_given_one_by_one(spec_file):
    header = "settings: {rates: [0.1, 0.2, 0.4]}\n"
    graph = zoo.graph(spec_file("drop: {op: dropout, repeat: $rates, rate: $item}", header=header))
    assert [n.attributes["rate"] for n in graph.nodes] == [0.1, 0.2, 0.4]
    layers = 'drop: {op: dropout, repeat: 3, rate: "$rates[2 - $index]"}'
    graph = zoo.graph(spec_file(layers, header=header))
    assert [n.attributes["rate"] for n in graph.nodes] == [0.4, 0.2, 0.1]


def test_a_variant_may_insert_replace_and_change(spec_file):
    header = """
    models:
      base: {}
      changed:
        layers:
          norm: {op: batch_norm, after: conv}
          conv: {kernel_size: 1}
          relu: {op: dropout, rate: 0.5}
    """
    layers = "conv: {op: conv, out_channels: 4, kernel_size: 3}\nrelu: {op: relu}"
    path = spec_file(layers, header=header)
    assert [n.op for n in zoo.graph(f"{path}:changed").nodes] == ["conv", "batch_norm", "dropout"]
    assert zoo.graph(f"{path}:changed").node("conv").attributes["kernel_size"] == (1, 1)
    assert [n.op for n in zoo.graph(f"{path}:base").nodes] == ["conv", "relu"]


def test_a_vgg_of_any_size_is_torchvisions():
    """Its parameters do not depend on the input's size: the map is averaged to 7x7 (its avgpool)."""
    for size in (32, 100, 224, 256, (231, 480)):
        graph = zoo.graph("vgg16_bn", input_size=size)
        assert graph.num_parameters == 138_365_992
        assert graph.node("flatten").shape == (512 * 7 * 7,)


def test_the_json_schema_is_the_shipped_one_and_accepts_the_shipped_specs():
    shipped = catalog.folder() / "spec.schema.json"
    assert shipped.read_text() == schema.json_schema(), (
        "python -m zoo.language.schema > spec/spec.schema.json"
    )
    validator = jsonschema.Draft202012Validator(json.loads(shipped.read_text()))
    for path in catalog.folder().glob("*.yaml"):
        validator.validate(document.read(path))
    bad = {"format": 1, "name": "x", "layers": {"c": {"op": "conv", "kernal_size": 3}}}
    assert not validator.is_valid(bad)


def test_release_lists_let_go_of_everything_but_outputs():
    graph = zoo.graph("googlenet", aux=True)
    held = {"input"}
    for step in graph.root.steps:
        assert set(step.inputs) <= held
        held |= {step.name}
        held -= set(step.releases)
    assert held == {"fc", "aux1", "aux2"}


def test_the_reference_computes_outputs_by_name():
    graph = zoo.graph("googlenet", aux=True, num_classes=4, input_size=112)
    weights = {p.name: np.full(p.shape, 0.01) for p in graph.parameters}
    found = ops.run(graph, np.ones((2, 3, 112, 112)), weights)
    assert {name: value.shape for name, value in found.items()} == {
        "logits": (2, 4), "aux1": (2, 4), "aux2": (2, 4),
    }  # fmt: skip


def test_a_layer_may_be_repeated_no_times(spec_file):
    graph = zoo.graph(spec_file("r: {op: relu, repeat: 0}\ns: {op: relu, repeat: 2}"))
    assert [node.name for node in graph.nodes] == ["s1", "s2"]


@pytest.mark.parametrize("depth", [0, -1, 1.5, True])
def test_a_depth_that_cannot_be(depth):
    with pytest.raises(zoo.InputError, match="depth must be None or an integer of at least 1"):
        zoo.graph("vgg9").summary(depth)


def test_outputs_of_a_shared_graph_cannot_be_changed():
    with pytest.raises(TypeError, match="cannot be changed"):
        zoo.graph("vgg16").output_nodes.clear()
