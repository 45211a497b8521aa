"""ONNX models that PyTorch's exporter and the package onnx wrote, compared with a spec.

Each fault is one that is easily made; the report must name the node that has it.
"""

from __future__ import annotations

import functools
import io
import json
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from limits import HANG
from loading import load
from tables import golden

import zoo
from zoo.cli.program import program
from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.testing import assert_same
from zoo.verification.foreign import verify
from zoo.verification.foreign.verify import verify_file

load("onnx")
load("torch")
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

LAYERS = """
conv1: {op: conv, out_channels: 8, kernel_size: 3, padding: 1, stride: 2}
bn: {op: batch_norm, eps: 0.001}
relu1: {op: relu}
pool1: {op: max_pool, kernel_size: 3, stride: 2, ceil_mode: true}
norm: {op: lrn, size: 5, alpha: 0.1, beta: 0.75, k: 2}
left: {op: conv, from: norm, out_channels: 6, kernel_size: 1}
right: {op: conv, from: norm, out_channels: 6, kernel_size: 3, padding: 1}
join: {op: concat, from: [left, right]}
pool2: {op: avg_pool, kernel_size: 3, stride: 2, padding: 1, count_include_pad: false}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 5, input_size: 23}\n"
SHAPE = (3, 23, 23)

SLOW = pytest.mark.slow

#: The exporter merges batch norms and renames what it touched, unless it is told not to.
KEEPING = {
    "training": torch.onnx.TrainingMode.PRESERVE,
    "do_constant_folding": False,
}


class Mine(nn.Module):
    """The network of the spec, with a fault if one is given."""

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, stride=2, bias=fault != "no bias")
        self.bn = nn.BatchNorm2d(8, eps=1e-3 if fault != "epsilon" else 1e-5)
        self.left = nn.Conv2d(8, 6, 1)
        self.right = nn.Conv2d(8, 6, 3, padding=1)
        if fault == "padding":
            self.right.padding_mode, self.right.padding = "zeros", (0, 0)
        self.fc = nn.Linear(12 * 3 * 3, 5)
        with torch.no_grad():
            self.bn.running_mean.uniform_(-0.1, 0.1)
            self.bn.running_var.uniform_(0.01, 0.02)
            self.bn.weight.uniform_(0.5, 1.5)
            self.bn.bias.uniform_(-0.5, 0.5)

    def forward(self, x):
        fault = self.fault
        x = self.bn(self.conv1(x))
        x = x if fault == "no relu" else F.relu(x)
        if fault == "window":
            x = F.max_pool2d(F.pad(x, (1, 0, 1, 0)), 3, 2)
        elif fault == "stride":
            x = F.max_pool2d(x, 2, 2)
        else:
            x = F.max_pool2d(x, 3, 2, ceil_mode=fault != "ceil_mode")
        # In operations of its own, as an exporter writes it that knows no LRN.
        k, beta = (1, 0.75) if fault == "lrn" else (2, 0.75)
        squares = F.pad(x * x, (0, 0, 0, 0, 2, 2))
        sums = sum(squares[:, i : i + 8] for i in range(5))
        x = x / (k + 0.1 / 5 * sums) ** beta
        right = self.right(F.pad(x, (2, 0, 2, 0)) if fault == "padding" else x)
        parts = [self.left(x), right]
        x = torch.cat(parts[::-1] if fault == "swapped" else parts, 1)
        x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=fault == "count_include_pad")
        if fault == "flatten":
            x = x.permute(0, 2, 3, 1)
        x = self.fc(x.flatten(1))
        return x.softmax(1) if fault == "softmax" else x


#: Fault -> the node that has it, and what is said of it.
FAULTS = {
    "epsilon": ("bn", r"epsilon of 1e-05, the spec has 0\.001"),
    "no relu": ("relu1", r"no value of the file equals it.*\n.*MaxPool.* reads bn"),
    "window": ("pool1", r"has an error of .* above 1\.0e-05"),
    "ceil_mode": ("pool1", "has 8x5x5 there"),
    "stride": ("pool1", r"kernel_shape=\[2, 2\].*strides=\[2, 2\]; the spec has max_pool with"),
    "lrn": ("norm", "the spec has lrn with size=5"),
    "padding": ("right", r"pads=\[0, 0, 0, 0\].*the spec has conv with .*padding=\(1, 1, 1, 1\)"),
    "swapped": ("join", "of right, left; the spec has concat.* of left, right"),
    "count_include_pad": ("pool2", "count_include_pad=1"),
    "flatten": ("flatten", "the spec has flatten"),
}


def exported(model, x, keep=True, **options):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), torch.from_numpy(x), buffer, dynamo=False, input_names=["image"],
            **(KEEPING if keep else {}), **options,
        )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


@functools.cache
def photograph():
    return np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)


@functools.cache
def written(fault="", keep=True):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return exported(Mine(fault), photograph(), keep)


@pytest.fixture
def here(monkeypatch):
    """Files are run in this process, which saves starting another one."""
    from zoo.onnx import foreign

    def run(file, given, x):
        return foreign.run(foreign.opened(file), given.name, x)

    monkeypatch.setattr(verify, "_in_worker", run)


@pytest.fixture
def spec(spec_file):
    return spec_file(LAYERS, header=HEADER)


def test_a_correct_model(spec):
    assert_same(written(), spec, photograph())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_located(fault, spec):
    node, text = FAULTS[fault]
    with pytest.raises(AssertionError, match=rf"diverge at {node} \(") as caught:
        assert_same(written(fault), spec, photograph())
    assert re.search(text, str(caught.value)), caught.value


def test_a_softmax_at_the_end(spec, here, tmp_path):
    with pytest.raises(AssertionError, match=r"is the softmax of logits"):
        assert_same(written("softmax"), spec, photograph())
    path = tmp_path / "w.onnx"
    onnx.save(written("softmax"), path)
    report = verify_file(path, spec)
    assert report.passed and report.outputs[0].softmax
    assert "is the softmax of logits" in str(report)


def test_weights_that_do_not_fit(spec):
    with pytest.raises(AssertionError, match=r"missing: conv1\.bias"):
        assert_same(written("no bias"), spec, photograph(), level="structure")


def test_levels_that_need_training_are_refused(spec):
    with pytest.raises(InputError, match="can only be run"):
        assert_same(written(), spec, photograph(), level="gradients")


def renamed(model, words):
    """The model with other names for its initializers."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for tensor in other.graph.initializer:
        tensor.name = words(tensor.name)
    for node in other.graph.node:
        node.input[:] = [words(name) for name in node.input]
        node.output[:] = [words(name) for name in node.output]
    return other


def test_a_table_of_names(spec, here, tmp_path):
    known = {name for tensor in written().graph.initializer for name in [tensor.name]}
    model = renamed(written(), lambda name: f"net/{name}" if name in known else name)
    with pytest.raises(AssertionError, match=r"names of its .* arrays"):
        assert_same(model, spec, photograph())
    names = {name: f"net/{name}" for name in ("conv1", "bn", "left", "right", "fc")}
    assert_same(model, spec, photograph(), names=names)
    with pytest.raises(UnknownNameError, match=r"no block, node or parameter 'conv'"):
        assert_same(model, spec, photograph(), names={"conv": "x"})
    onnx.save(model, tmp_path / "w.onnx")
    (tmp_path / "names.yaml").write_text(json.dumps(names))
    assert verify_file(tmp_path / "w.onnx", spec, names=tmp_path / "names.yaml").passed
    (tmp_path / "names.yaml").write_text("conv1: 3\n")
    with pytest.raises(InputError, match="expected a mapping of zoo's names"):
        verify_file(tmp_path / "w.onnx", spec, names=tmp_path / "names.yaml")


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
    equal = {node.name: node.value is not None for node in report.nodes}
    assert not equal["conv1"] and equal["bn"], "the convolution has the batch norm's value"
    if fault:
        assert f"diverge at {FAULTS[fault][0]} (" in report.problems[0]
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


# Inputs and outputs


def described(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


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
        (lambda g: g.input.append(described("size", [2])), "expected one input.*image, size"),
        (
            lambda g: g.input[0].CopyFrom(described("image", [1, *SHAPE], TensorProto.FLOAT16)),
            "not float32",
        ),
        (lambda g: g.input[0].CopyFrom(described("image", [1, 60])), r"image \[1, 60\]"),
    ],
)
def test_other_inputs_are_refused(edit, text, spec, tmp_path):
    onnx.save(changed(edit), tmp_path / "w.onnx")
    with pytest.raises(InputError, match=text):
        verify_file(tmp_path / "w.onnx", spec)


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
        ([path, "--against", spec, "--output", tmp_path / "r.html"], "expected a name in .json"),
        ([spec, "--names", "n.yaml"], "add --against NETWORK"),
        ([tmp_path / "gone.onnx", "--against", spec], "gone.onnx: no such file"),
        (["--against", spec], "which file"),
    ):
        done = CliRunner().invoke(program, ["verify", *map(str, arguments)], catch_exceptions=True)
        assert isinstance(done.exception, zoo.ZooError | SystemExit), done.exception
        assert text in done.output + str(done.exception)


# Weights


@pytest.mark.parametrize("name", ["squeezenet1_1", pytest.param("shufflenet_v2_x0_5", marks=SLOW)])
def test_publishers_names_are_recognized(name, tmp_path):
    """As in a .pth: what PyTorch exports has the names of its modules."""
    graph = zoo.graph(name, num_classes=3, input_size=64)
    model = zoo.build(graph, "torch", seed=1)
    table = zoo.weights.sources.source("torchvision")
    slots = zoo.weights.slots.slots_of(table, graph)
    words = {parameter: slot.names[0] for parameter, slot in slots.items()}
    published = renamed(
        exported(model, np.zeros((1, 3, 64, 64), np.float32)), lambda n: words.get(n, n)
    )
    path = tmp_path / "w.onnx"
    onnx.save(published, path)
    again = zoo.load(path, "torch")
    assert zoo.graph_of(again).name == name
    assert "torchvision's" in zoo.graph_of(again).origin["names"]
    expected, found = zoo.get_weights(model), zoo.get_weights(again)
    for key, value in expected.items():
        assert np.array_equal(found[key], value), key


@pytest.mark.parametrize(
    "network",
    ["squeezenet1_1", "googlenet_bvlc", "resnet18"],
)
def test_files_of_the_onnx_model_zoo(network, tmp_path):
    """With the names and shapes that such a file has; its values are found at the right nodes."""
    rng = np.random.default_rng(0)
    rows = [row for row in golden("onnx_model_zoo") if row["network"] == network]
    arrays, nodes = {}, {}
    for row in rows:
        shape = tuple(map(int, row["shape"].split("x")))
        arrays[row["name"]] = rng.standard_normal(shape).astype(np.float32)
        nodes.setdefault(row["node"], []).append(row["name"])
    program = []
    for node, names in nodes.items():
        kinds = {4: "Conv", 2: "Gemm", 1: "BatchNormalization"}
        kind = kinds[arrays[names[0]].ndim]
        turned = {"transB": 1} if kind == "Gemm" else {}
        program.append(helper.make_node(kind, ["x", *names], [node], **turned))
    path = tmp_path / "w.onnx"
    onnx.save(program_of(program, [numpy_helper.from_array(a, n) for n, a in arrays.items()]), path)
    model = zoo.load(path, "onnx")
    assert zoo.graph_of(model).name == network
    assert "the ONNX Model Zoo" in zoo.graph_of(model).origin["names"]
    weights = zoo.get_weights(model)
    assert len(weights) == len(arrays)
    for node, names in nodes.items():
        own = [name for name in weights if name.rpartition(".")[0] == node]
        for one, name in zip(own, names, strict=True):
            assert np.array_equal(weights[one], arrays[name]), name


def typed(name, array, kind):
    """A tensor whose values are in the field of numbers of its dtype, or in bytes."""
    if kind == "bytes":
        return numpy_helper.from_array(array, name)
    values = array.ravel()
    if array.dtype.name in ("float16", "bfloat16"):
        values = values.view(np.uint16)
    number = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, dims=array.shape, data_type=number)
    fields = {"float32": "float_data", "float64": "double_data"}
    getattr(tensor, fields.get(array.dtype.name, "int32_data")).extend(values.tolist())
    return tensor


KINDS = [
    (d, k) for d in ("float32", "float64", "float16", "bfloat16") for k in ("bytes", "numbers")
]


@pytest.mark.parametrize(("dtype", "kind"), KINDS)
def test_values_are_those_that_the_package_onnx_reads(dtype, kind, tmp_path):
    from zoo.weights import onnx_foreign

    rng = np.random.default_rng(0)
    arrays = {
        name: rng.standard_normal(shape).astype(dtype)
        for name, shape in {"c.weight": (4, 3, 3, 3), "c.bias": (4,), "one": (1,)}.items()
    }
    nodes = [
        helper.make_node("Conv", ["x", "c.weight", "c.bias"], ["y"]),
        helper.make_node("Mul", ["y", "one"], ["z"]),
    ]
    path = tmp_path / "w.onnx"
    onnx.save(program_of(nodes, [typed(n, a, kind) for n, a in arrays.items()]), path)
    found = onnx_foreign.arrays(path)
    assert found.keys() == arrays.keys()
    for tensor in onnx.load(path).graph.initializer:
        value = found[tensor.name].read()
        assert value.dtype.name == dtype
        assert value.tobytes() == numpy_helper.to_array(tensor).tobytes()


def program_of(nodes, tensors, shape=(1, 3, 5, 5)):
    graph = helper.make_graph(
        nodes, "g", [described("x", shape)], [described(nodes[-1].output[0], None)], tensors
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


KERNEL = np.arange(12, dtype=np.float32).reshape(4, 3)  # [out, in]
BIAS = np.arange(4, dtype=np.float32)


def of_gemm(turned):
    given = KERNEL if turned else KERNEL.T
    nodes = [helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], transB=int(turned))]
    return nodes, {"fc.weight": given, "fc.bias": BIAS}


def of_matmul():
    nodes = [
        helper.make_node("MatMul", ["x", "fc.weight"], ["m"]),
        helper.make_node("Add", ["m", "fc.bias"], ["y"]),
    ]
    return nodes, {"fc.weight": KERNEL.T, "fc.bias": BIAS}


def of_transpose():
    nodes = [
        helper.make_node("Transpose", ["fc.weight"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "turned"], ["m"]),
        helper.make_node("Add", ["m", "fc.bias"], ["y"]),
    ]
    return nodes, {"fc.weight": KERNEL, "fc.bias": BIAS}


def of_constants():
    nodes = [
        helper.make_node("Constant", [], ["fc.weight"], value=numpy_helper.from_array(KERNEL.T)),
        helper.make_node("Identity", ["shared"], ["fc.bias"]),
        helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"]),
    ]
    return nodes, {"shared": BIAS}


@pytest.mark.parametrize(
    "made", [lambda: of_gemm(True), lambda: of_gemm(False), of_matmul, of_transpose, of_constants]
)
def test_the_program_states_the_layout_of_a_kernel(made, tmp_path):
    from zoo.weights import onnx_foreign

    nodes, arrays = made()
    path = tmp_path / "w.onnx"
    onnx.save(
        program_of(nodes, [numpy_helper.from_array(a, n) for n, a in arrays.items()], (1, 3)), path
    )
    found = {name: array.read() for name, array in onnx_foreign.arrays(path).items()}
    assert found.keys() == {"fc.weight", "fc.bias"}
    assert np.array_equal(found["fc.weight"], KERNEL) and np.array_equal(found["fc.bias"], BIAS)


def test_uses_that_leave_the_layout_open_are_refused(tmp_path):
    from zoo.weights import onnx_foreign

    square = numpy_helper.from_array(np.ones((3, 3), np.float32), "w")
    twice = [
        helper.make_node("Gemm", ["x", "w"], ["a"], transB=1),
        helper.make_node("MatMul", ["a", "w"], ["y"]),
    ]
    scaled = [helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5, transB=1)]
    for nodes, text in ((twice, "w is used in two layouts"), (scaled, "w is scaled")):
        onnx.save(program_of(nodes, [square], (1, 3)), tmp_path / "w.onnx")
        with pytest.raises(WeightsError, match=text):
            onnx_foreign.arrays(tmp_path / "w.onnx")


def test_values_beside_the_file(spec, here, tmp_path):
    path = tmp_path / "w.onnx"
    model = onnx.ModelProto()
    model.CopyFrom(written())
    onnx.save(
        model, path, save_as_external_data=True, all_tensors_to_one_file=True,
        location="w.bin", size_threshold=0,
    )  # fmt: skip
    assert (tmp_path / "w.bin").stat().st_size > 1000
    assert verify_file(path, spec).passed
    loaded = zoo.build(spec, "torch", weights=path)
    expected = {t.name: numpy_helper.to_array(t) for t in written().graph.initializer}
    assert np.array_equal(zoo.get_weights(loaded)["fc.weight"], expected["fc.weight"])
    in_memory = onnx.load(path, load_external_data=False)
    with pytest.raises(WeightsError, match=r"values of .* are in another file"):
        assert_same(in_memory, spec, photograph())


def test_a_file_that_zoo_wrote(spec, here, tmp_path):
    model = zoo.build(spec, "onnx", seed=1)
    zoo.save(model, tmp_path / "w.onnx")
    assert verify_file(tmp_path / "w.onnx", spec).passed
    del model.metadata_props[:]
    assert_same(model, spec, photograph())
