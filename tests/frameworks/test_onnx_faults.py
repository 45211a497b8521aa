"""ONNX models that were changed: each change is found, and its node named."""

from __future__ import annotations

import numpy as np
import pytest
from everything import LAYERS
from loading import load
from verifying import InThisProcess

import zoo
from zoo.errors import WeightsError
from zoo.verification.full import photographs

load("onnx")
from onnx import helper, numpy_helper

import zoo.testing
from zoo.onnx import model as building


@pytest.fixture
def spec(spec_file):
    return spec_file(LAYERS, header="options: {num_classes: 4, input_size: 24}\n")


def attribute(node, name, value):
    def change(model):
        (found,) = (n for n in model.graph.node if n.name == node)
        kept = [a for a in found.attribute if a.name != name]
        del found.attribute[:]
        found.attribute.extend(
            [*kept, *([] if value is None else [helper.make_attribute(name, value)])]
        )

    return change


def operation(node, op_type):
    return lambda model: setattr(
        next(n for n in model.graph.node if n.name == node), "op_type", op_type
    )


def inputs(node, *names):
    def change(model):
        (found,) = (n for n in model.graph.node if n.name == node)
        found.input[:] = names

    return change


def initializer(name, function):
    def change(model):
        (found,) = (t for t in model.graph.initializer if t.name == name)
        value = np.ascontiguousarray(function(numpy_helper.to_array(found)))
        found.CopyFrom(numpy_helper.from_array(value.astype(value.dtype), name))

    return change


def both(first, second):
    def change(model):
        first(model)
        second(model)

    return change


def nudged(value):
    value = value.copy()
    value.flat[0] += value.dtype.type(1e-9)
    return value


def restate(model):
    """Make what a model says of itself fit what it is."""
    stated = building.texts_of(model)
    helper.set_model_props(model, {**stated, "digest": building.digest(model, stated)})


def without_node(model):
    nodes = [node for node in model.graph.node if node.name != "tanh"]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def with_node(model):
    model.graph.node.append(helper.make_node("Relu", ["logits"], ["more"], "more"))


def another_version(model):
    model.opset_import[0].version = 17


def other_constant(model):
    window = next(t for t in model.graph.initializer if t.name == "lrn/window")
    window.raw_data = (numpy_helper.to_array(window) * 2).tobytes()


def other_shape(model):
    model.graph.initializer[0].dims[0] = 4


def lost_initializer(model):
    del model.graph.initializer[2]


def stated(**changes):
    def change(model):
        helper.set_model_props(model, {**building.texts_of(model), **changes})

    return change


OPTIONS = '{"aux": false, "num_classes": %d, "in_channels": 3, "input_size": 24}'
CHANGES = {
    "a node is missing": (without_node, "the node 'tanh' is missing"),
    "a node more": (with_node, "the node 'more' is no part of it"),
    "an attribute": (attribute("conv", "strides", [2, 1]), "the node 'conv' differs"),
    "another operation": (operation("tanh", "Sigmoid"), "the node 'tanh' differs"),
    "a constant": (other_constant, "the initializer 'lrn/window' differs"),
    "a shape": (other_shape, "the initializer 'conv.weight' differs"),
    "an initializer is missing": (lost_initializer, "the initializer 'ln.weight' is missing"),
    "the version of the operations": (another_version, "opset: expected 18 to"),
    "another model": (stated(model="vgg16", options=OPTIONS % 5), ""),
    "other options": (stated(options=OPTIONS % 5), "the output 'logits' differs"),
    "no options": (stated(options="[]"), "the metadata of this ONNX model does not state a network"),
    "an option there is not": (stated(options='{"size": 1}'), "the metadata of this ONNX model does not"),
    "another spec": (stated(spec="format: 1\nname: tiny\nlayers: {a: {op: relu}}"), "the output 'logits' differs"),
    "no spec": (stated(spec="]"), "the metadata of this ONNX model does not state a network"),
    "a deep spec": (stated(spec="[" * 100_000), "the metadata of this ONNX model does not state a network"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_metadata_that_do_not_fit_the_model_are_not_believed(change, spec, tmp_path):
    """By no verb, in memory or in a file; and a model refused is not written."""
    alter, words = CHANGES[change]
    model = zoo.build(spec, "onnx", dtype="float64")
    alter(model)
    x = photographs(1, zoo.graph(spec))
    path = tmp_path / "w.onnx"
    verbs = (
        zoo.graph_of,
        zoo.get_weights,
        lambda m: zoo.predict(m, x),
        lambda m: zoo.features(m, x, "conv"),
        lambda m: zoo.convert(m, "torch"),
        lambda m: zoo.save(m, path),
        lambda m: zoo.save(m, path.with_suffix(".safetensors")),
    )
    if change == "another model":  # a name is the user's own affair
        words = "the metadata|differs|is no part|is missing"
    for verb in verbs:
        with pytest.raises(WeightsError, match=words):
            verb(model)
    assert not list(tmp_path.glob("w.*"))
    path.write_bytes(model.SerializeToString())
    for backend in ("onnx", "torch"):
        with pytest.raises(WeightsError, match=r"w\.onnx: "):
            zoo.load(path, backend)


#: Faults in the attributes and the initializers of a network with every operation -> the node
#: that is the first to differ, and what is changed.
FAULTS = {
    "pads at the other side": ("conv", attribute("conv", "pads", [1, 1, 0, 0])),
    "another axis of a reduction": ("ln", initializer("ln/axes_1", lambda a: a + 1)),
    "an epsilon": ("ln", initializer("ln/eps", lambda e: e * 10)),
    "an epsilon of a batch norm": ("bn", attribute("bn", "epsilon", 1e-3)),
    "an epsilon through float32": ("bn", initializer("bn/rest_of_eps", np.zeros_like)),
    "gamma and beta": ("bn", inputs("bn", "edges", "bn.bias", "bn.weight", "bn.running_mean", "bn/running_var")),
    "a limit": ("relu6", initializer("relu6/most", lambda m: m - 5.9)),
    "a tanh that is a sigmoid": ("tanh", operation("tanh", "Sigmoid")),
    "GELU's approximation": ("gelu", attribute("gelu", "approximate", "tanh")),
    "a dense matrix in another order": ("fc", initializer("fc.weight", lambda w: w[:, ::-1])),
    "other channels": ("one", both(initializer("one/start", lambda s: s - 1), initializer("one/stop", lambda s: s - 1))),
    "channels in another order": ("other", initializer("other/channels", lambda c: c[::-1])),
    "a shuffle undone": ("shuffle", attribute("shuffle/turned", "perm", [0, 1, 2, 3, 4])),
    "channels before and after": ("pad", initializer("pad/edges", lambda e: np.roll(e, 4))),
    "edges at the other side": ("edges", initializer("edges/edges", lambda e: np.roll(e, 4))),
    "a window of LRN": ("lrn", initializer("lrn/window", lambda w: np.roll(w, 1, 0))),
    "alpha": ("lrn", initializer("lrn/window", lambda w: w * 3)),
    "alpha through float32": ("lrn", initializer("lrn/window", lambda w: np.float64(np.float32(w)))),
    "beta": ("lrn", inputs("lrn/divisor", "lrn/root", "lrn/root")),
    "an average that counts its padding": ("avg", attribute("avg", "count_include_pad", 1)),
    "windows of an adaptive average": ("adaptive", initializer("adaptive/rows", lambda r: r[::-1])),
    "a factor through float32": ("factor", initializer("factor/factor", lambda f: np.float64(np.float32(f)))),
    "one weight off by 1e-9": ("conv", initializer("conv.weight", nudged)),
    "a sum of others": ("sum", inputs("sum", "gelu", "gelu")),
    "a concatenation in another order": ("concat", inputs("concat", "other", "one")),
}  # fmt: skip


def test_there_are_enough_faults():
    assert len(FAULTS) >= 20


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found_and_its_node_named(fault, spec, monkeypatch):
    """As a mistake of the builder would be: the model fits what it says of itself."""
    node, alter = FAULTS[fault]
    backend = load("onnx")
    right = backend.set_weights

    def set_weights(model, weights):
        right(model, weights)
        alter(model)
        restate(model)

    monkeypatch.setattr(backend, "set_weights", set_weights)
    report = zoo.verify(spec, backends=["onnx"], dtype="float64", workers=InThisProcess())
    assert not report.passed, "it survived"
    (result,) = report.results
    assert result.first is not None, result.problems
    assert result.first.node == node


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_is_held_against_its_spec(dtype, spec):
    """Some of its nodes have no ONNX node, and some of its initializers are no weights."""
    graph = zoo.graph(spec)
    x = photographs(2, graph)
    model = zoo.build(graph, "onnx", dtype=dtype)
    zoo.testing.assert_same(model, graph, x)
    operation("tanh", "Sigmoid")(model)
    restate(model)
    with pytest.raises(AssertionError, match="they diverge at tanh"):
        zoo.testing.assert_same(model, graph, x)
