"""ONNX models that PyTorch's exporter and the package onnx wrote, compared with a spec.

Each fault is one that is easily made; the report must name the node that has it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from limits import HANG
from loading import load

import zoo
from zoo.cli.program import program
from zoo.data import images
from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.testing import assert_same
from zoo.verification.foreign.verify import verify_file

load("onnx")
load("torch")
import onnx
import torch
from foreign import FAULTS, LAYERS, SHAPE, Mine, described, photograph, renamed, written
from foreign import here as here
from foreign import spec as spec
from onnx import TensorProto, helper


def test_a_correct_model(spec):
    assert_same(written(), spec, photograph())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_located(fault, spec):
    node, text = FAULTS[fault]
    with pytest.raises(AssertionError, match=rf"diverge at {node} \(") as caught:
        assert_same(written(fault), spec, photograph())
    assert re.search(text, str(caught.value)), caught.value


def test_a_softmax_at_the_end(spec, here, tmp_path):
    assert_same(written("softmax"), spec, photograph())
    path = tmp_path / "w.onnx"
    onnx.save(written("softmax"), path)
    report = verify_file(path, spec)
    assert report.passed and report.outputs[0].softmax
    assert "is the softmax of logits" in str(report)


def test_the_number_of_classes_is_that_of_the_file(tmp_path):
    """As a name says nothing of it; a graph does."""
    x = images.load(images.default(), (32, 32))
    model = zoo.build("resnet20", "onnx", num_classes=7)
    del model.metadata_props[:]
    assert_same(model, "resnet20", x)
    with pytest.raises(AssertionError, match=r"fc\.weight  expected 10x64, got 7x64"):
        assert_same(model, zoo.graph("resnet20"), x)
    by_hand = torch.nn.Sequential(torch.nn.Conv2d(3, 7, 1))
    names = {"conv": "0"}
    with pytest.raises(AssertionError, match=r"It has 7 classes: .*, num_classes=7\)"):
        assert_same(by_hand, classifying(tmp_path), x, names=names, level="structure")


def classifying(folder):
    """A network of one layer."""
    layers = "layers: {conv: {op: conv, out_channels: $num_classes, kernel_size: 1}}\n"
    options = "options: {num_classes: 5, input_size: 32}\n"
    path = folder / "one.yaml"
    path.write_text(f"format: 1\nname: one\n{options}{layers}")
    return str(path)


def test_weights_that_do_not_fit(spec):
    with pytest.raises(AssertionError, match=r"missing: conv1\.bias"):
        assert_same(written("no bias"), spec, photograph(), level="structure")


def test_advice_is_what_the_command_can_do(spec, tmp_path):
    """Only the commands that write weights have --head."""
    path, converted = str(tmp_path / "w.onnx"), str(tmp_path / "w.safetensors")
    onnx.save(written(), path)
    size = ["--num-classes", "6", "--input-size", "23"]
    for arguments, advice in (
        (["verify", path, "--against", spec], "--num-classes 5 keeps it."),
        (
            ["export", spec, str(tmp_path / "x.onnx"), "--weights", path],
            "--num-classes 5 keeps it, --head new of 'zoo convert' replaces it.",
        ),
        (
            ["convert", path, converted, "--model", spec],
            "--num-classes 5 keeps it, --head new replaces it.",
        ),
    ):
        error = CliRunner().invoke(program, [*arguments, *size]).exception
        assert str(error).endswith(f"\nThese belong to the classifier: {advice}")


def test_levels_that_need_training_are_refused(spec):
    with pytest.raises(InputError, match="can only be run"):
        assert_same(written(), spec, photograph(), level="gradients")


def test_a_table_of_names(spec, here, tmp_path):
    known = {name for tensor in written().graph.initializer for name in [tensor.name]}
    model = renamed(written(), lambda name: f"net/{name}" if name in known else name)
    with pytest.raises(AssertionError, match=r"names of its .* arrays[\s\S]*names='table.yaml'"):
        assert_same(model, spec, photograph())
    names = {name: f"net/{name}" for name in ("conv1", "bn", "left", "right", "fc")}
    assert_same(model, spec, photograph(), names=names)
    with pytest.raises(UnknownNameError, match=r"no block, node or parameter 'conv'"):
        assert_same(model, spec, photograph(), names={"conv": "x"})
    onnx.save(model, tmp_path / "w.onnx")
    (tmp_path / "names.yaml").write_text(json.dumps(names))
    assert verify_file(tmp_path / "w.onnx", spec, names=tmp_path / "names.yaml").passed
    for text, place in (
        ("left: net/left\nconv1: 3\n", r"names\.yaml:2"),
        ("- conv1\n", r"names\.yaml:1"),
        ("", r"names\.yaml:1"),
    ):
        (tmp_path / "names.yaml").write_text(text)
        with pytest.raises(InputError, match=f"{place}: expected a mapping of zoo's names"):
            verify_file(tmp_path / "w.onnx", spec, names=tmp_path / "names.yaml")
    (tmp_path / "names.yaml").write_text("conv1: net/conv1\n\nnope: x\n")
    with pytest.raises(UnknownNameError, match=r"names\.yaml:3: tiny has no block.* 'nope'"):
        verify_file(tmp_path / "w.onnx", spec, names=tmp_path / "names.yaml")


def test_a_table_that_does_not_fit_the_file(spec, tmp_path):
    path = tmp_path / "w.onnx"
    onnx.save(written(), path)
    with pytest.raises(WeightsError) as caught:
        verify_file(path, spec, names={"left": "links", "fc.bias": "fc/b"})
    assert str(caught.value).splitlines() == [
        f"{path}: the table of names does not fit the file:",
        "  left.weight is links.weight by the table; the file has no such array",
        "  left.bias is links.bias by the table; the file has no such array",
        "  fc.bias is fc/b by the table; the file has no such array",
        "  left.weight is in the file, and by the table no parameter of tiny",
        "  left.bias is in the file, and by the table no parameter of tiny",
        "  fc.bias is in the file, and by the table no parameter of tiny",
    ]


def test_what_a_table_lacks_is_said_of_both(spec, tmp_path):
    path = tmp_path / "w.onnx"
    known = {tensor.name for tensor in written().graph.initializer}
    onnx.save(renamed(written(), lambda name: f"net/{name}" if name in known else name), path)
    with pytest.raises(WeightsError) as caught:
        verify_file(path, spec, names={"left": "net/left"})
    lines = str(caught.value).splitlines()
    assert "  conv1.weight is not in the table, and the file has no array of this name" in lines
    assert "  net/conv1.weight is in the file, and by the table no parameter of tiny" in lines
    assert len(lines) <= 15
    with pytest.raises(WeightsError, match=r"net/conv1\.weight[\s\S]*names='table.yaml'"):
        verify_file(path, spec)
    some = {name for name in known if name.startswith(("conv1", "bn"))}
    onnx.save(renamed(written(), lambda name: f"net/{name}" if name in some else name), path)
    with pytest.raises(WeightsError, match=r"unexpected: net/conv1[\s\S]*names='table.yaml'"):
        verify_file(path, spec)


def saved(model, path):
    """The weights of a model, for the network of the spec."""
    torch.save(model.state_dict(), path)
    return path


@pytest.mark.parametrize("fault", ["", "lrn", "swapped"])
def test_merged_batch_norms(fault, spec, here, tmp_path):
    """The weights have lost their names, so they come from another file, and nodes still match."""
    path = tmp_path / "w.onnx"
    onnx.save(written(fault, keep=False), path)
    with pytest.raises(WeightsError, match=r"onnx::Conv_\d+: the exporter of PyTorch made up"):
        verify_file(path, spec)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        weights = saved(Mine(fault), tmp_path / "w.pth")
    report = verify_file(path, spec, weights_from=weights)
    assert report.passed == (not fault)
    assert report.weights == f"from {weights}, in place of the file's own"
    equal = {node.name: node.value is not None for node in report.nodes}
    assert not equal["conv1"] and equal["bn"], "the convolution has the batch norm's value"
    if fault:
        assert f"diverge at {FAULTS[fault][0]} (" in report.problems[0]
        assert not any("only the outputs" in note for note in report.notes)
    else:
        assert "Without a value of their own in the file: conv1" in report.notes


def test_only_the_outputs(spec, here, tmp_path):
    """Of a program whose inner values are all of other kinds, the end is compared."""
    model = onnx.ModelProto()
    model.CopyFrom(written())
    names = [node.name for node in zoo.graph(spec).nodes]
    (given,) = model.graph.input
    outer = helper.make_node("Twice", ["image"], [model.graph.output[0].name], domain="mine")
    inner = [*model.graph.initializer]
    body = [helper.make_node("Constant", [], [t.name], value=t) for t in inner]
    del model.graph.initializer[:]
    function = helper.make_function(
        "mine", "Twice", ["image"], [model.graph.output[0].name], [*body, *model.graph.node],
        [helper.make_opsetid("", model.opset_import[0].version)],
    )  # fmt: skip
    del model.graph.node[:]
    model.graph.node.append(outer)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    path = tmp_path / "w.onnx"
    onnx.save(model, path)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        weights = saved(Mine(), tmp_path / "w.pth")
    report = verify_file(path, spec, weights_from=weights)
    assert report.passed, report
    assert "only the outputs could be compared" in str(report)
    assert [n.name for n in report.nodes if n.value] == names[-1:]
    assert given.name in report.input


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page, not the file"),
        (b"", "it is empty"),
        (b'\x08\0\0\0\0\0\0\0{"a": 1}', "expected an ONNX model, got .* format safetensors"),
    ],
)
def test_other_files(content, text, spec, tmp_path):
    (tmp_path / "w.onnx").write_bytes(content)
    with pytest.raises((InputError, WeightsError), match=rf"w\.onnx: .*{text}"):
        verify_file(tmp_path / "w.onnx", spec)


def test_biases_that_an_exporter_left_out(spec, tmp_path):
    onnx.save(written("no bias"), tmp_path / "w.onnx")
    with pytest.raises(WeightsError, match=r"a bias that is all zeros.*weights_from='FILE'"):
        verify_file(tmp_path / "w.onnx", spec)


def test_a_model_of_another_program_is_built_from_its_file():
    for use in (zoo.get_weights, zoo.graph_of, lambda model: zoo.convert(model, "torch")):
        with pytest.raises(zoo.BackendError, match=r"zoo\.build\(NAME, 'onnx', weights='FILE"):
            use(written())


# Inputs and outputs


def channels_last(model):
    """The model with an input [N, H, W, C], as exporters of TensorFlow write it."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    turned = helper.make_node("Transpose", ["nhwc"], ["image"], perm=[0, 3, 1, 2])
    other.graph.node.insert(0, turned)
    other.graph.input[0].CopyFrom(described("nhwc", [None, *SHAPE[1:], SHAPE[0]]))
    return other


def test_channels_last(spec, here, tmp_path):
    path = tmp_path / "w.onnx"
    onnx.save(channels_last(written()), path)
    report = verify_file(path, spec)
    assert report.passed and "channels last" in report.input
    assert "[N, 23, 23, 3]" in report.input


def test_an_input_with_channels_last_is_named_as_such(spec):
    x = photograph().transpose(0, 2, 3, 1)
    with pytest.raises(InputError, match="the channels are on another axis; transpose it"):
        assert_same(written(), spec, x)


def test_a_fixed_batch_and_the_size_of_the_file(spec_file, here, tmp_path):
    spec = spec_file(LAYERS, header="options: {num_classes: 1000, input_size: 60}\n")
    onnx.save(written(), tmp_path / "w.onnx")
    report = verify_file(tmp_path / "w.onnx", spec)
    assert report.passed and report.options["input_size"] == (23, 23)
    assert report.options["num_classes"] == 5 and "[2, 3, 23, 23]" in report.input
    with pytest.raises(InputError, match=r"its input is \[2, 3, 23, 23\], that of tiny is 3x60x60"):
        verify_file(tmp_path / "w.onnx", spec, input_size=60)


def changed(edit):
    model = onnx.ModelProto()
    model.CopyFrom(written())
    edit(model.graph)
    return model


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda g: g.node[1].input.__setitem__(0, "nowhere"), "reads nowhere, which nothing"),
        (lambda g: setattr(g.node[0], "op_type", "Foo"), "is Foo, which is no operation of ONNX"),
        (
            lambda g: g.input[0].CopyFrom(described("image", [1, 3, 10**6, 10**6])),
            r"the file's input is \[1, 3, 1000000, 1000000\], which .* does not take",
        ),
        (lambda g: g.input.append(described("size", [2])), "expected one input.*image, size"),
        (
            lambda g: g.input[0].CopyFrom(described("image", [1, *SHAPE], TensorProto.FLOAT16)),
            "not float32",
        ),
        (lambda g: g.input[0].CopyFrom(described("image", [1, 60])), r"image \[1, 60\]"),
        (lambda g: g.ClearField("output"), r"it has no outputs, tiny has 1 output \(logits\)$"),
    ],
)
def test_other_inputs_are_refused(edit, text, spec, tmp_path):
    onnx.save(changed(edit), tmp_path / "w.onnx")
    with pytest.raises((InputError, WeightsError), match=text):
        verify_file(tmp_path / "w.onnx", spec)


def test_a_file_without_weights(spec, tmp_path):
    model = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [described("x", [1, *SHAPE])],
        [described("y", [1, *SHAPE])],
    )
    onnx.save(helper.make_model(model), tmp_path / "w.onnx")
    with pytest.raises(WeightsError, match=r"the file contains no arrays.*weights_from='FILE'"):
        verify_file(tmp_path / "w.onnx", spec)
    with pytest.raises(AssertionError, match="the file contains no arrays"):
        assert_same(onnx.load(tmp_path / "w.onnx"), spec, photograph()[:1])


def test_a_file_of_another_network(spec, tmp_path):
    """Which cannot have an input of this size, or such options."""
    onnx.save(written(), tmp_path / "w.onnx")
    with pytest.raises(InputError, match=r"the file's input is .*, which googlenet does not take"):
        verify_file(tmp_path / "w.onnx", "googlenet")
    zoo.save(zoo.build("googlenet", "onnx", input_size=64), tmp_path / "g.safetensors")
    with pytest.raises(WeightsError, match="holds weights of googlenet, not of resnet20"):
        zoo.build("resnet20", "onnx", weights=tmp_path / "g.safetensors", input_size=32)


# The command


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "zoo", "verify", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=HANG,
    )


def test_the_command(spec, tmp_path):
    """In processes of their own: that of the command, and that in which the file is run."""
    onnx.save(written("lrn"), tmp_path / "bad.onnx")
    done = command(tmp_path / "bad.onnx", "--against", spec, "--output", tmp_path / "r.json")
    assert done.returncode == 1, done.stderr
    assert "FAIL" in done.stdout and "from the file, by zoo's names" in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    (problem,) = report["problems"]
    assert problem.startswith("they diverge at norm (lrn") and not report["passed"]
    assert [output["name"] for output in report["outputs"]] == ["logits"]


def test_the_command_for_a_correct_file(spec, here, tmp_path):
    onnx.save(written(), tmp_path / "good.onnx")
    done = CliRunner().invoke(
        program, ["verify", str(tmp_path / "good.onnx"), "--against", spec, "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["passed"]


def test_options_that_do_not_belong_together(spec, tmp_path):
    path = tmp_path / "w.onnx"
    onnx.save(written(), path)
    for arguments, text in (
        ([path], "--against NETWORK"),
        ([path, "--against", spec, "--level", "full"], "--level does not apply to an ONNX file"),
        ([path, "--against", spec, "--output", tmp_path / "r.html"], "a name that ends in .json"),
        ([spec, "--names", "n.yaml"], "add --against NETWORK"),
        (
            [path, "--against", spec, "--names", "n.yaml", "--weights", "w.pth"],
            "--names is for the file's own weights: leave out either",
        ),
        ([tmp_path / "gone.onnx", "--against", spec], "gone.onnx: no such file"),
        (["--against", spec], "which file"),
    ):
        done = CliRunner().invoke(program, ["verify", *map(str, arguments)], catch_exceptions=True)
        assert isinstance(done.exception, zoo.ZooError | SystemExit), done.exception
        assert text in done.output + str(done.exception)
