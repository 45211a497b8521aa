"""ResNets, DenseNets and RegNets against their papers' figures."""

import pytest

import zoo
from zoo.graphs.published import agrees
from zoo.language import catalog

FAMILIES = ("resnet", "resnet_v2", "resnet_cifar", "densenet", "regnet")
MODELS = [name for name, path in catalog.shipped().items() if path.stem in FAMILIES]


@pytest.mark.parametrize("name", MODELS)
def test_every_figure_that_the_paper_states_adds_up(name):
    differing = ["densenet264: the paper's depth of 264, computed 265"]
    found = zoo.graph(name).summary().disagreements
    assert [each.partition(" (")[0] for each in found] == (
        differing if name == "densenet264" else []
    )


@pytest.mark.parametrize(("name", "last"), [("resnet34", 512), ("resnet50", 2048)])
def test_sizes_of_the_residual_papers_table_1(name, last):
    graph = zoo.graph(name)
    sizes = {
        block: graph[block].shape[1:] for block in ("conv1", *(f"layer{i}" for i in range(1, 5)))
    }
    assert [*sizes.values()] == [(112, 112), (56, 56), (28, 28), (14, 14), (7, 7)]
    assert graph["avgpool"].shape == (last, 1, 1)


def test_where_the_stride_of_a_bottleneck_is():
    def strided(name, operation="conv"):
        nodes = zoo.graph(name)["layer2.block1"].nodes
        return [n.name for n in nodes if n.op == operation and n.attributes["stride"] == (2, 2)]

    at = "layer2.block1"
    assert strided("resnet50") == [f"{at}.conv2.conv", f"{at}.downsample.conv"]
    assert strided("resnet50_v1") == [f"{at}.conv1.conv", f"{at}.downsample.conv"]
    assert strided("resnet50_v2") == [f"{at}.residual.conv1", f"{at}.downsample"]
    assert strided("resnet20") == [f"{at}.conv1.conv"]  # option A has no other


def test_what_preactivated_shortcuts_read():
    """The activated input where they are projections, the input itself elsewhere."""
    graph = zoo.graph("resnet50_v2")
    assert graph.node("layer2.block1.downsample").inputs == ("layer2.block1.preact.relu",)
    assert graph.node("layer2.block1.residual.conv1").inputs == ("layer2.block1.preact.relu",)
    assert graph.node("layer2.block2.add").inputs[1] == "layer2.block1.add"


def test_option_a_adds_no_parameters_and_zeros_on_both_sides():
    graph = zoo.graph("resnet20")
    pads = {n.name: n.attributes["padding"] for n in graph.nodes if n.op == "pad_channels"}
    assert pads == {"layer2.block1.shortcut.pad": (8, 8), "layer3.block1.shortcut.pad": (16, 16)}
    assert graph["layer2.block1.shortcut"].num_parameters == 0


#: Figures 16 and 17: the widths of the paper's own where torchvision's are others, and its figures.
PAPERS = {
    "regnet_x_400mf": ("[32, 64, 160, 400]", "[32, 64, 160, 384]", "5.2M", "0.4G"),
    "regnet_y_800mf": ("[64, 144, 320, 784]", "[64, 144, 320, 768]", "6.3M", "0.8G"),
    "regnet_y_8gf": ("[224, 448, 896, 2016]", "[168, 448, 896, 2016]", "39.2M", "8.0G"),
}


@pytest.mark.parametrize("name", PAPERS)
def test_regnets_of_the_papers_widths_have_the_papers_figures(name, tmp_path):
    ours, papers, params, macs = PAPERS[name]
    text = (catalog.folder() / "regnet.yaml").read_text()
    path = tmp_path / "regnet.yaml"
    path.write_text(text.replace(ours, papers))
    graph = zoo.graph(f"{path}:{name}")
    assert graph.num_parameters != zoo.graph(name).num_parameters
    assert agrees(graph.num_parameters, params)
    assert agrees(graph.macs, macs)
