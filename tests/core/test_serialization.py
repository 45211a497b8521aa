"""A graph cannot be changed, and travels as JSON."""

import copy
import dataclasses
import json
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import zoo
from zoo import ops
from zoo.errors import InputError
from zoo.graphs.shapes import Map, Vector
from zoo.weights import initial

REPRESENTATIVES = ("lenet5", "googlenet", "vgg16", "mobilenet_v3_small", "shufflenet_v2_x0_5")


def test_no_part_of_a_graph_can_be_changed():
    graph = zoo.graph("vgg16")
    node = graph.node("stage1.conv1.conv")
    before = json.dumps(graph.to_dict())
    with pytest.raises(TypeError, match="cannot be changed"):
        node.attributes["stride"] = (2, 2)
    for name in ("options", "published", "about", "preprocessing", "document", "initializers"):
        with pytest.raises(TypeError, match="cannot be changed"):
            getattr(graph, name)["x"] = 1
    for change in (
        lambda: graph.preprocessing["mean"].append(1),
        lambda: graph.document["layers"].update(a=1),
        lambda: graph.document["layers"]["features"].pop("layers", None),
        lambda: graph.about["paper"].clear(),
    ):
        with pytest.raises((TypeError, KeyError)):
            change()
    for owner, name in (
        (graph, "name"),
        (node, "op"),
        (graph.root, "steps"),
        (graph.root.steps[0], "name"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(owner, name, None)
    assert json.dumps(zoo.graph("vgg16").to_dict()) == before


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_a_graph_comes_back_from_json(name):
    graph = zoo.graph(name)
    text = json.dumps(graph.to_dict())
    again = zoo.Graph.from_dict(json.loads(text))
    assert json.dumps(again.to_dict()) == text
    assert again.options == graph.options
    assert again == graph and hash(again) == hash(graph)
    for a, b in zip(graph.nodes, again.nodes, strict=True):
        assert a == b
        assert all(type(value) is type(b.attributes[key]) for key, value in a.attributes.items())


def test_graphs_are_equal_by_value():
    graph = zoo.graph("lenet5")
    first, *rest = graph.root.steps
    steps = (dataclasses.replace(first, releases=("input", "input")), *rest)
    changed = dataclasses.replace(graph, root=dataclasses.replace(graph.root, steps=steps))
    assert changed != graph
    assert dataclasses.replace(graph) == graph
    assert zoo.graph("lenet5", num_classes=11) != graph
    assert graph != "lenet5"


def test_a_graph_from_json_computes_the_same():
    graph = zoo.graph("lenet5")
    again = zoo.Graph.from_dict(json.loads(json.dumps(graph.to_dict())))
    draw = initial.drawing(graph)
    weights = {p.name: draw(p) for p in graph.parameters}
    x = np.random.default_rng(0).random((1, *graph.input_shape))
    for name, value in ops.run(graph, x, weights).items():
        assert np.array_equal(ops.run(again, x, weights)[name], value)


def test_a_graph_is_copied_and_pickled():
    graph = zoo.graph("lenet5")
    assert copy.deepcopy(graph) is graph
    again = pickle.loads(pickle.dumps(graph))
    assert again.to_dict() == graph.to_dict()
    with pytest.raises(TypeError, match="cannot be changed"):
        again.nodes[0].attributes["stride"] = 3


def test_shapes_name_their_axes():
    graph = zoo.graph("vgg16")
    assert graph.input_shape == Map(channels=3, height=224, width=224)
    assert graph.output_nodes["logits"].shape == Vector(features=1000)


def damaged(data):
    """Every value of a graph's data, wrong in several ways, one at a time."""

    def visit(value, put):
        for wrong in (None, -1, 1e400, "x" * 9, [], {}, True, ["a", {}], {"a": 1}):
            if wrong != value or type(wrong) is not type(value):
                put(wrong)
                yield
        put(value)
        if isinstance(value, dict):
            for key, item in list(value.items()):
                yield from visit(item, lambda new, key=key: value.__setitem__(key, new))
                del value[key]
                yield
                value[key] = item
        elif isinstance(value, list):
            for i, item in enumerate(value[:3]):
                yield from visit(item, lambda new, i=i: value.__setitem__(i, new))

    holder = {"data": data}
    for _ in visit(data, lambda new: holder.__setitem__("data", new)):
        yield holder["data"]


SMALL = """
conv: {op: conv, out_channels: 4, kernel_size: 3, groups: 2, published: {params: 22}}
pool: {op: max_pool, kernel_size: 2}
scale: {op: scale, factor: 0.5}
drop: {op: dropout, rate: 0.5}
fc: {layers: {flatten: {op: flatten}, linear: {op: linear, out_features: $num_classes}}}
"""


def test_damaged_data_is_refused_or_read_and_nothing_else(spec_file):
    whole = zoo.graph(spec_file(SMALL, header="options: {in_channels: 2, input_size: 8}\n"))
    data = {**whole.to_dict(), "document": {}}
    tried = refused = 0
    for wrong in damaged(data):
        tried += 1
        try:
            graph = zoo.Graph.from_dict(wrong)
        except InputError as error:
            assert len(str(error)) < 400
            refused += 1
            continue
        assert str(graph.summary(None))  # what is read can be shown
        zoo.draw(graph)
        zoo.diff(graph, whole)
    assert refused > 0.75 * tried


def test_data_nested_too_deeply_is_refused():
    deep = {}
    for _ in range(3_000):
        deep = {"x": deep}
    data = zoo.graph("lenet5").to_dict()
    for name in ("about", "document", "options", "initializers", "preprocessing"):
        with pytest.raises(InputError, match="nested too deeply"):
            zoo.Graph.from_dict({**data, name: deep})


def test_another_format_is_refused_by_name():
    data = zoo.graph("lenet5").to_dict()
    with pytest.raises(InputError, match="format 2, but this version of zoo reads format 1"):
        zoo.Graph.from_dict({**data, "zoo_graph": 2})
    with pytest.raises(InputError, match="the key 'zoo_graph' is missing"):
        zoo.Graph.from_dict({"name": "x"})


def test_an_unknown_or_missing_key_is_named():
    def message(change):
        data = zoo.graph("lenet5").to_dict()
        change(data)
        with pytest.raises(InputError) as mistake:
            zoo.Graph.from_dict(data)
        return str(mistake.value)

    def rename(data):
        data["root"]["stepz"] = data["root"].pop("steps")

    assert message(rename) == "not a graph: $.root: unknown key 'stepz'. Did you mean 'steps'?"
    assert message(lambda data: data.pop("origin")) == "not a graph: $: the key 'origin' is missing"
    missing = message(lambda data: data["root"]["steps"][0].pop("child"))
    assert missing == "not a graph: $.root.steps[0]: the key 'child' is missing"
    with pytest.raises(InputError, match="data must be a mapping, as Graph.to_dict returns it"):
        zoo.Graph.from_dict([])


@pytest.mark.parametrize("use", [zoo.graph, zoo.summary, zoo.draw, zoo.verify])
def test_the_data_of_a_graph_is_no_graph_yet(use):
    with pytest.raises(zoo.ZooError, match=r"zoo\.Graph\.from_dict\(data\)"):
        use(zoo.graph("lenet5").to_dict())
