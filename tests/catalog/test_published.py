"""The graphs against published tables: the paper's, a tutorial's, and parameter counts."""

import math

import pytest
from tables import COUNTS, INCEPTION_3A, golden

import zoo
from zoo.graphs.published import agrees

#: Cells of the paper's Table 1 that do not follow from the architecture the paper states.
WRONG = {
    # 7*7*3*8 + 24*64 = 2,712 weights and 112*112*2,712 = 34.0M operations: these two cells are
    # those of a separable convolution of depth multiplier 8, not of the 7x7 the row states.
    ("conv1", "params"): "a separable convolution's figure",
    ("conv1", "ops"): "a separable convolution's figure",
    # The row's own ops (100M at 14x14) are those of 510,104 parameters, so its params are not.
    ("4c", "params"): "contradicts the row's own ops",
    ("4d", "params"): "contradicts the row's own ops: 119M at 14x14 are 605,376 parameters",
    # 1072K and 54M agree with each other at 7x7 and with no reading of the row's channels.
    ("5a", "params"): "follows from other channels than the row states",
    ("5a", "ops"): "follows from other channels than the row states",
    ("5b", "params"): "contradicts the row's own ops: 71M at 7x7 are 1,444,080 parameters",
}


@pytest.mark.parametrize("count", COUNTS, ids=str)
def test_parameter_counts(count):
    assert zoo.graph(count.model, aux=count.aux).num_parameters == count.parameters


def test_inception_3a_alone():
    assert zoo.graph("googlenet")["inception3a"].num_parameters == INCEPTION_3A


def test_vgg9_has_nine_layers_of_weights():
    graph = zoo.graph("vgg9")
    convs = [node.shape[0] for node in graph.nodes if node.op == "conv"]
    linears = [node.shape[0] for node in graph.nodes if node.op == "linear"]
    assert convs == [64, 128, 256, 512, 512, 512]
    assert linears == [4096, 4096, 1000]


OPS = {"Conv2D": "conv", "MaxPool2D": "max_pool", "AvgPool2D": "avg_pool", "Linear": "linear"}


def tutorial_rows() -> list[tuple[dict[str, str], zoo.Node]]:
    """Each row of the tutorial's summary that computes, with the node that it must be."""
    rows = [row for row in golden("googlenet_paddle_layers") if row["kind"] in OPS]
    nodes = {op: [] for op in OPS.values()}
    for node in zoo.graph("googlenet_tutorial", aux=True).nodes:
        # The tutorial's pool before the classifier is an average over the whole map.
        nodes.get(node.op.removeprefix("global_"), []).append(node)
    order = {op: iter(sorted(found, key=_paper_order)) for op, found in nodes.items()}
    paired = [(row, next(order[OPS[row["kind"]]])) for row in rows]
    assert all(next(rest, None) is None for rest in order.values()), "nodes without a row"
    return paired


def _paper_order(node: zoo.Node) -> bool:
    return node.name.startswith("aux")  # the summary lists the heads last; sorting is stable


def test_every_row_of_the_tutorials_summary():
    for row, node in tutorial_rows():
        shape = tuple(map(int, row["output_shape_nchw"].split("x")))[1:]
        inputs = tuple(map(int, row["input_shape_nchw"].split("x")))[1:]
        assert (node.name, node.shape) == (node.name, shape)
        assert (node.name, node.input_shapes) == (node.name, (inputs,))
        assert (node.name, node.num_parameters) == (node.name, int(row["parameters"]))
    assert sum(int(row["parameters"]) for row, _ in tutorial_rows()) == 13_378_280


def paper_rows():
    names = {row["row"]: row["row"] for row in golden("googlenet_paper_table1")}
    names |= {row: f"inception{row}" for row in names if row[0].isdigit()}
    names |= {"linear": "fc"}
    del names["softmax"]  # the graph ends in logits
    return [
        (row, names[row["row"]]) for row in golden("googlenet_paper_table1") if row["row"] in names
    ]


def test_every_output_size_of_the_papers_table():
    graph = zoo.graph("googlenet")
    for row, name in paper_rows():
        height, width, channels = map(int, row["output_hwc"].split("x"))
        shape = graph[name].shape
        assert math.prod(shape) == height * width * channels
        assert shape in ((channels, height, width), (channels,)), name


@pytest.mark.parametrize("figure", ["params", "ops"])
def test_the_papers_params_and_ops(figure):
    graph = zoo.graph("googlenet")
    wrong = set()
    for row, name in paper_rows():
        if row[figure]:
            block = graph[name]
            value = {"params": block.num_parameters, "ops": block.macs}[figure]
            if not agrees(value, row[figure]):
                wrong.add((row["row"], figure))
    assert wrong == {cell for cell in WRONG if cell[1] == figure}


def test_why_the_papers_first_row_is_wrong():
    separable = 7 * 7 * 3 * 8 + 3 * 8 * 64
    assert agrees(separable, "2.7K")
    assert agrees(separable * 112 * 112, "34M")


def test_the_spec_states_the_papers_table_exactly():
    graph = zoo.graph("googlenet")
    for row, name in paper_rows():
        stated = graph.published.get(name, {})
        expected = {"output": row["output_hwc"], "params": row["params"], "ops": row["ops"]}
        for key, value in expected.items():
            assert str(stated.get(key, "")) == value, (name, key)
        if row["type"] == "inception":
            assert str(stated["depth"]) == row["depth"]


def test_depths_are_the_papers():
    rows = {row.name: row for row in zoo.graph("googlenet").summary().rows}
    for row, name in paper_rows():
        if row["depth"] not in ("", "0"):
            assert rows[name].depth == int(row["depth"]), name
    assert zoo.graph("googlenet").summary().total.depth == 22  # "22 layers deep", section 5


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("vgg11", "133M"),
        ("vgg13", "133M"),
        ("vgg16_c", "134M"),
        ("vgg16", "138M"),
        ("vgg19", "144M"),
    ],
)
def test_vgg_totals_of_the_papers_table_2(name, published):
    graph = zoo.graph(name)
    assert graph.published[""]["params"] == published
    assert agrees(graph.num_parameters, published)
    assert graph.summary().total.depth == int(name[3:5])
