"""LeNet, AlexNet, ZFNet, SqueezeNet and one Inception module alone, against their papers' figures."""

import numpy as np
import pytest
from tables import golden

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.errors import InputError


def height_first(shape):
    """A shape as papers write it."""
    return "x".join(map(str, (*shape[1:], shape[0])))


@pytest.mark.parametrize("row", golden("lenet5_paper"), ids=lambda row: row["layer"])
def test_lenets_layers(row):
    graph = zoo.graph("lenet5")
    block, stated = graph[row["layer"]], graph.published[row["layer"]]
    assert height_first(block.shape) == str(stated["output"]) == row["output_hwc"]
    assert block.num_parameters == stated["params"] == int(row["parameters"])


def test_lenet_has_the_papers_60000_parameters_before_its_output():
    graph = zoo.graph("lenet5")
    assert graph.num_parameters - graph["output"].num_parameters == 60_000


@pytest.mark.parametrize("row", golden("lenet5_paper_table1"), ids=lambda row: row["s2_map"])
def test_lenets_maps_of_c3_read_the_maps_of_s2_that_the_papers_table_1_says(row):
    graph = zoo.graph("lenet5")
    s2_map = int(row.pop("s2_map"))
    weights = {p.name: np.zeros(p.shape) for p in graph.parameters}
    weights["s2.affine.bias"][s2_map] = 1  # all of this map of S2 is now above 0, and no other
    for name, value in weights.items():
        if name.startswith("c3.") and name.endswith(".weight"):
            value += 1
    c3 = dict(ops.steps(graph, np.zeros((1, 1, 32, 32)), weights))["c3.concat"]
    assert (c3 != 0).all((0, 2, 3)).tolist() == [cell == "X" for cell in row.values()]
    assert (c3 != 0).any((0, 2, 3)).tolist() == [cell == "X" for cell in row.values()]


def test_lenets_squashing_function():
    """Equation (6) and appendix A: A tanh(S a) with A = 1.7159, S = 2/3, so that f(1) = 1."""
    graph = zoo.graph("lenet5")
    weights = {p.name: np.zeros(p.shape) for p in graph.parameters}
    sums = weights["f6.linear.bias"]
    sums[:] = [1, -1, *np.linspace(-4, 4, 82)]
    values = dict(ops.steps(graph, np.zeros((1, 1, 32, 32)), weights))
    f6 = values[graph.node("f6").name][0]
    assert np.abs(f6 - 1.7159 * np.tanh(2 / 3 * sums)).max() < 1e-15
    assert np.abs(f6[:2] - sums[:2]).max() < 1e-4


#: The caption of Figure 2 counts the neurons of each layer: 253,440-186,624-64,896-64,896-43,264-
#: 4096-4096-1000. Its first is 55x48x96, not the 55x55x96 that the figure and the text state.
ALEXNET = {"conv2": 186_624, "conv3": 64_896, "conv4": 64_896, "conv5": 43_264, "fc6": 4096}


def test_alexnets_neurons():
    graph = zoo.graph("alexnet_two_towers")
    assert {name: np.prod(graph[name].shape) for name in ALEXNET} == ALEXNET
    assert np.prod(graph["conv1"].shape) == 55 * 55 * 96 != 253_440 == 55 * 48 * 96


@pytest.mark.parametrize("name", ["lenet5", "alexnet_two_towers", "zfnet"])
def test_every_figure_that_the_paper_states_adds_up(name):
    assert zoo.graph(name).summary().disagreements == []


def test_squeezenets_spec_states_the_papers_table_exactly():
    graph = zoo.graph("squeezenet1_0")
    for row in golden("squeezenet_paper_table1"):
        stated, node = graph.published[row["row"]], graph[row["row"]]
        assert stated["output"] == row["output_hwc"]
        assert str(stated.get("params", "")) == row["parameters"]
        assert str(stated.get("depth", 0)) == row["depth"]
        if row["parameters"]:
            assert node.num_parameters == int(row["parameters"])
        if row["s1x1"]:
            channels = [int(row[branch]) for branch in ("s1x1", "e1x1", "e3x3")]
            branches = ("squeeze", "expand1x1", "expand3x3")
            assert [graph[f"{row['row']}.{b}"].shape[0] for b in branches] == channels


@pytest.mark.parametrize(
    ("input_size", "other"),
    [
        (227, {"maxpool8": "13x13x512"}),  # printed as 13x12x512
        (
            224,
            {
                "conv1": "109x109x96",
                "maxpool1": "54x54x96",
                "fire2": "54x54x128",
                "fire3": "54x54x128",
                "fire4": "54x54x256",
                "maxpool8": "13x13x512",
            },
        ),
    ],
)
def test_squeezenets_sizes_are_those_of_227_pixels(input_size, other):
    graph = zoo.graph("squeezenet1_0", input_size=input_size)
    rows = golden("squeezenet_paper_table1")
    found = {row["row"]: height_first(graph[row["row"]].shape) for row in rows}
    assert {r["row"]: found[r["row"]] for r in rows if found[r["row"]] != r["output_hwc"]} == other


def test_the_module_alone_is_googlenets():
    module, network = zoo.graph("inception_module"), zoo.graph("googlenet")
    pairs = zip(module["inception"].nodes, network["inception4b"].nodes, strict=True)
    for own, other in pairs:
        assert own.name.replace("inception.", "inception4b.") == other.name
        with_bias = {**own.attributes, "bias": True} if own.op == "conv" else own.attributes
        assert (own.op, own.shape, with_bias) == (other.op, other.shape, other.attributes)
    assert module.summary().disagreements == []


def test_what_the_reductions_save():
    """5x5x512x64 = 819,200 weights, or 512x24 + 5x5x24x64 = 50,688, as lecture notes have it."""
    for name, expected in (("inception_module_naive", 819_200), ("inception_module", 50_688)):
        parameters = zoo.graph(name).parameters
        weights = [p for p in parameters if p.name.startswith("inception.branch5x5.")]
        assert sum(p.size for p in weights) == expected
    difference = zoo.diff("inception_module", "inception_module_naive")
    (branch,) = (row for row in difference.to_markdown().splitlines() if "branch5x5" in row)
    assert "50,688 → 819,200" in branch


def test_a_network_without_a_classifier_is_not_trained(spec_file, monkeypatch):
    monkeypatch.setattr(registry, "is_installed", lambda description: True)  # it computes nothing
    path = spec_file("conv: {op: conv, out_channels: 4, kernel_size: 3}")
    message = "tiny cannot be trained: its output 'logits' is a map of 4x7x7"
    with pytest.raises(InputError, match=message):
        zoo.verify(path, input_size=9, level="gradients")


def test_heads_of_different_sizes_are_not_trained_together(spec_file, monkeypatch):
    monkeypatch.setattr(registry, "is_installed", lambda description: True)  # it computes nothing
    layers = """
        flatten: {op: flatten}
        side: {from: flatten, op: linear, out_features: 7}
        fc: {from: flatten, op: linear, out_features: $num_classes}
    """
    path = spec_file(layers, header="outputs: {logits: {from: fc}, side: {from: side}}\n")
    message = (
        "tiny cannot be trained: its output 'side' has 7 features, and its output 'logits' has"
    )
    with pytest.raises(InputError, match=message):
        zoo.verify(path, input_size=9, level="training")


def test_the_small_vgg16_normalizes_the_first_convolutions_of_two_stages():
    graph = zoo.graph("vgg16_small")
    norms = [node.name for node in graph.nodes if node.op == "batch_norm"]
    assert norms == ["stage1.conv1.bn", "stage2.conv1.bn"]
    convs = [node.shape[0] for node in graph.nodes if node.op == "conv"]
    assert convs == [4, 4, 8, 8, 16, 16, 16, 32, 32, 32, 32, 32, 32]
    assert [n.shape for n in graph.nodes if n.op == "linear"] == [(256,), (256,), (6,)]
    assert graph.input_shape == (3, 64, 64)
