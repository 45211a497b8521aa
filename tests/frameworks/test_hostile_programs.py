"""ONNX programs that are damaged, or would never end, or would need far too much memory."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from limits import HANG
from loading import load

from zoo.errors import BackendError, ZooError
from zoo.verification.foreign.verify import verify_file

load("onnx")
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS = """
conv: {op: conv, out_channels: 4, kernel_size: 3}
relu: {op: relu}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 5, input_size: 6}\n"


@pytest.fixture
def spec(spec_file):
    return spec_file(LAYERS, header=HEADER)


def described(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def weights():
    rng = np.random.default_rng(0)
    shapes = {"conv.weight": (4, 3, 3, 3), "conv.bias": (4,), "fc.weight": (5, 64), "fc.bias": (5,)}
    arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


NODES = (
    helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], kernel_shape=[3, 3]),
    helper.make_node("Relu", ["c"], ["r"]),
    helper.make_node("Flatten", ["r"], ["f"], axis=1),
    helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], transB=1),
)


def program(nodes=NODES, *, tensors=(), inputs=()):
    """The network of the spec, if the nodes are those above."""
    graph = helper.make_graph(
        nodes, "g", [described("x", ["n", 3, 6, 6]), *inputs], [described("y", ["n", 5])],
        [*weights(), *tensors],
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10, producer_name="other"
    )


def test_the_good_program(spec, tmp_path):
    onnx.save(program(), tmp_path / "w.onnx")
    assert verify_file(tmp_path / "w.onnx", spec).passed


def integers(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def reading(value):
    """The nodes of the network, of which the first one reads another value."""
    conv = helper.make_node("Conv", [value, *NODES[0].input[1:]], ["c"], kernel_shape=[3, 3])
    return [conv, *NODES[1:]]


def endless():
    """A loop that counts to 2**62."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            described("v", [1, 3, 6, 6]),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), described("w", [1, 3, 6, 6])],
    )
    count = numpy_helper.from_array(np.array(2**62), "count")
    true = numpy_helper.from_array(np.array(True), "true")
    loop = helper.make_node("Loop", ["count", "true", "x"], ["turned"], body=body)
    return [loop, *reading("turned")], [count, true]


def circle():
    return [
        helper.make_node("Add", ["x", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        *reading("b"),
    ], []


def huge():
    """A value of 2**40 numbers, whose size is a constant."""
    fill = helper.make_node("ConstantOfShape", ["shape"], ["all"])
    total = helper.make_node("ReduceMean", ["all"], ["mean"], keepdims=0)
    added = helper.make_node("Add", ["x", "mean"], ["z"])
    return [fill, total, added, *reading("z")], [integers("shape", 2**40)]


def in_an_attribute():
    """A constant whose values are in another file."""
    tensor = TensorProto(name="k", dims=[4], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    constant = helper.make_node("Constant", [], ["k"], value=tensor)
    return [constant, *NODES], []


def unknown():
    """An operation that no engine has."""
    return [helper.make_node("Secret", ["x"], ["z"], domain="nobody"), *reading("z")], []


REFUSED = {
    endless: "it has a Loop",
    circle: "reads b, which nothing before it computes",
    huge: "is too large",
    in_an_attribute: "only files in the folder of the model",
    unknown: "Secret|opset",
}


@pytest.mark.parametrize("made", REFUSED, ids=lambda made: made.__name__)
def test_hostile_programs_are_refused(made, spec, tmp_path):
    nodes, tensors = made()
    path = tmp_path / "w.onnx"
    (tmp_path.parent / "secret").write_bytes(bytes(16))
    path.write_bytes(program(nodes, tensors=tensors).SerializeToString())
    with pytest.raises(ZooError, match=REFUSED[made]) as caught:
        verify_file(path, spec)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1_000


def test_memory_that_is_not_there(spec, tmp_path):
    """A size that only the run of the program shows: the process has a limit, and says so."""
    count = integers("count", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    doubled = helper.make_node("Mul", ["count", "first"], ["shape"])
    shape = helper.make_node("Shape", ["x"], ["sizes"])
    first = helper.make_node("Gather", ["sizes", "zero"], ["first"])
    nodes, _ = huge()
    path = tmp_path / "w.onnx"
    nodes = [shape, first, doubled, *nodes]
    path.write_bytes(program(nodes, tensors=[count, integers("zero", 0)]).SerializeToString())
    with pytest.raises(BackendError, match=r"w\.onnx: ONNX Runtime cannot run it"):
        verify_file(path, spec)


MUTANTS = """
import sys
from pathlib import Path
import numpy as np
from damage import mutants
from hostile import limit_memory
from zoo.api import checkpoints
from zoo.errors import ZooError
from zoo.language import graphs, options
from zoo.onnx import foreign
from zoo.verification.foreign import interface, weights
from zoo.weights.reading import onnx_file
from zoo.weights.checkpoint import reporting_damage
from zoo.weights.reading.protobuf import mapped

path, spec, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
good, graph = path.read_bytes(), graphs.graph(spec)
x = np.ones((1, 3, 6, 6), np.float32)
limit_memory()
refused = ran = 0
for damaged in mutants(good, count, count):
    path.write_bytes(damaged)
    try:
        with reporting_damage(path, "an ONNX model"):
            contents = onnx_file.contents(mapped(path), path.parent)
        given = interface.input_of(contents, str(path))
        interface.check_input(given, graph, str(path))
        weights.from_file(contents, graph, options.checked(False, None, None, None), None, str(path))
        model = foreign.opened(path)
    except ZooError as refusal:
        assert len(str(refusal)) < 5000, refusal
        refused += 1
        continue
    try:
        foreign.run(model, given.name, x)
        ran += 1
    except Exception:  # the engine's, in whose process it ends
        refused += 1
print(refused, ran)
"""


@pytest.mark.parametrize("count", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_damaged_programs(count, spec, tmp_path):
    """Refused, or run, within bounds; by the same steps as in ``zoo verify``."""
    path = tmp_path / "w.onnx"
    onnx.save(program(), path)
    done = subprocess.run(
        [sys.executable, "-c", MUTANTS, str(path), spec, str(count)],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-1_000:]
    refused, ran = map(int, done.stdout.split())
    assert refused + ran == count and refused > count / 4
