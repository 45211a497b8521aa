"""EfficientNet, MNASNet and ConvNeXt: operations as torchvision counts them, and values by depth."""

import pytest
from tables import golden

import zoo
from zoo.graphs.published import agrees

FAMILIES = ("efficientnet*", "mnasnet*", "convnext*")

#: Not the totals of the architectures that the authors published, 118.5 and 21.5 million: the paper
#: prints 120M and 22M.
WRONG = {"efficientnet_v2_l", "efficientnet_v2_s"}


@pytest.mark.parametrize("row", golden("torchvision_operations"), ids=lambda row: row["model"])
def test_multiply_accumulates(row):
    assert round(zoo.graph(row["model"]).macs / 1e9, 3) == float(row["giga_macs"])


def test_the_papers_totals():
    wrong = set()
    for name in (name for family in FAMILIES for name in zoo.list_models(family)):
        graph = zoo.graph(name)
        for kind, figure in graph.published.get("", {}).items():
            if not agrees({"params": graph.num_parameters, "ops": graph.macs}[kind], figure):
                wrong.add(name)
    assert wrong == WRONG


@pytest.mark.parametrize(
    ("name", "most", "blocks", "last"),
    [
        ("efficientnet_b0", 0.2, 16, 16),  # 0.2 i / 16, of i from 0
        ("efficientnet_b7", 0.2, 55, 55),
        ("efficientnet_v2_m", 0.2, 57, 57),
        ("convnext_small", 0.4, 36, 35),  # 0.4 i / 35: the last block's is 0.4
    ],
)
def test_stochastic_depth_grows_with_depth(name, most, blocks, last):
    """As torchvision's EfficientNet and the code of ConvNeXt's authors count: by blocks, from 0."""
    graph = zoo.graph(name)
    found = {}
    for node in graph.nodes:
        if node.op == "stochastic_depth":
            found[node.name.removesuffix(".drop")] = node.attributes["rate"]
    inner = ("dwconv", "depthwise.conv", "conv.conv")  # one in every block
    order = dict.fromkeys(
        node.name.rpartition(".block")[0]
        + ".block"
        + node.name.rpartition(".block")[2].split(".")[0]
        for node in graph.nodes
        if ".block" in node.name and node.name.endswith(inner)
    )
    assert len(order) == blocks
    rates = {block: most * i / last for i, block in enumerate(order)}
    assert found == pytest.approx({block: rates[block] for block in found}, rel=1e-15, abs=0)
    assert len(found) > blocks / 2


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("efficientnet_b0", [1, 2, 2, 3, 3, 4, 1]),
        ("efficientnet_b4", [2, 4, 4, 6, 6, 8, 2]),
        ("efficientnet_b7", [4, 7, 7, 10, 10, 13, 4]),
        ("mnasnet1_0", [3, 3, 3, 2, 4, 1]),
        ("convnext_base", [3, 3, 27, 3]),
    ],
)
def test_blocks_in_each_stage(name, depths):
    stages = [child for child in zoo.graph(name).root.steps if child.name.startswith("stage")]
    counts = [sum(s.name.startswith("block") for s in stage.child.steps) for stage in stages]
    assert counts == depths
