"""Weights in ONNX files that other programs wrote."""

from __future__ import annotations

import numpy as np
import pytest
from loading import load
from tables import golden

import zoo
from zoo.errors import InputError, WeightsError
from zoo.testing import assert_same
from zoo.verification.foreign.verify import verify_file

load("onnx")
load("torch")
import onnx
from foreign import exported, photograph, program_of, renamed, written
from foreign import here as here
from foreign import spec as spec
from onnx import TensorProto, helper, numpy_helper


@pytest.mark.parametrize(
    "name", ["squeezenet1_1", pytest.param("shufflenet_v2_x0_5", marks=pytest.mark.slow)]
)
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
    from zoo.weights.reading import onnx_file

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
    found = onnx_file.arrays(path)
    assert found.keys() == arrays.keys()
    for tensor in onnx.load(path).graph.initializer:
        value = found[tensor.name].read()
        assert value.dtype.name == dtype
        assert value.tobytes() == numpy_helper.to_array(tensor).tobytes()


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
    from zoo.weights.reading import onnx_file

    nodes, arrays = made()
    path = tmp_path / "w.onnx"
    onnx.save(
        program_of(nodes, [numpy_helper.from_array(a, n) for n, a in arrays.items()], (1, 3)), path
    )
    found = {name: array.read() for name, array in onnx_file.arrays(path).items()}
    assert found.keys() == {"fc.weight", "fc.bias"}
    assert np.array_equal(found["fc.weight"], KERNEL) and np.array_equal(found["fc.bias"], BIAS)


def test_uses_that_leave_the_layout_open_are_refused(tmp_path):
    from zoo.weights.reading import onnx_file

    square = numpy_helper.from_array(np.ones((3, 3), np.float32), "w")
    twice = [
        helper.make_node("Gemm", ["x", "w"], ["a"], transB=1),
        helper.make_node("MatMul", ["a", "w"], ["y"]),
    ]
    scaled = [helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5, transB=1)]
    for nodes, text in ((twice, "w is used in two layouts"), (scaled, "w is scaled")):
        onnx.save(program_of(nodes, [square], (1, 3)), tmp_path / "w.onnx")
        with pytest.raises(WeightsError, match=text):
            onnx_file.arrays(tmp_path / "w.onnx")


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
    zoo.export(model, tmp_path / "softmax.onnx", softmax=True, check=False)
    assert verify_file(tmp_path / "softmax.onnx", spec).passed
    zoo.export(model, tmp_path / "pixels.onnx", preprocess=True, check=False)
    with pytest.raises(InputError, match=r"pixels\.onnx: zoo exported it with preprocess=True"):
        verify_file(tmp_path / "pixels.onnx", spec)
    del model.metadata_props[:]
    assert_same(model, spec, photograph())
