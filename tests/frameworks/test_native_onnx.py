"""What is ONNX's own: its checks, names, versions and metadata, and how its models are run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from counting import index
from everything import LAYERS
from limits import HANG
from loading import load
from small import GOOGLENET, VGG_BN

import zoo
from zoo import ops
from zoo.errors import BackendError, InputError, WeightsError
from zoo.ops.composite import opened
from zoo.verification.comparison import error
from zoo.verification.conditioned_weights import conditioned
from zoo.verification.full import photographs

load("onnx")
import onnx
from onnx import helper, numpy_helper

import zoo.onnx
from zoo.onnx import engines, run
from zoo.onnx import model as building
from zoo.onnx.operations import OPERATIONS

HEADER = "options: {num_classes: 4, input_size: 24}\n"
LEFT_OUT = ("dropout", "stochastic_depth")


@pytest.fixture
def spec(spec_file):
    return spec_file(LAYERS, header=HEADER)


def check(model, network):
    """That ONNX's own checks pass, and that it infers from the nodes what the graph says."""
    graph = opened(network, OPERATIONS)
    onnx.checker.check_model(model, full_check=True)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True)
    values = [*inferred.graph.input[:1], *inferred.graph.value_info, *inferred.graph.output]
    shapes = {value.name: value.type.tensor_type.shape.dim for value in values}
    names = building.value_names(graph)
    expected = {names[node.name]: node.shape for node in graph.nodes}
    for name, shape in {**expected, "input": graph.input_shape}.items():
        batch, *sides = shapes[name]
        assert batch.dim_param == "batch", name
        assert tuple(side.dim_value for side in sides) == tuple(shape), name
    assert [output.name for output in model.graph.output] == [o.name for o in graph.outputs]
    outputs = {node.name for node in graph.output_nodes.values()}
    kept = [n.name for n in graph.nodes if n.op not in LEFT_OUT or n.name in outputs]
    assert [node.name for node in model.graph.node if "/" not in node.name] == kept
    turned = {n.name.partition("/")[0] for n in model.graph.node if n.op_type == "Transpose"}
    turning = ("layer_norm", "channel_shuffle")
    assert turned <= {node.name for node in graph.nodes if node.op in turning}


def as_inputs(model):
    """A model whose weights are inputs, so that they need no memory."""
    constants = [tensor for tensor in model.graph.initializer if "/" in tensor.name]
    for tensor in model.graph.initializer:
        if "/" not in tensor.name:
            described = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            model.graph.input.append(described)
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
    return model


def in_turn():
    """The smallest model of each family; the others are slow."""
    families = {}
    for model in index():
        families.setdefault(model["family"], []).append((model["macs"], model["model"]))
    for family in families.values():
        _, least = min(family)
        for _, name in family:
            yield name if name == least else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", list(in_turn()))
def test_every_model_passes_onnx_own_checks(name):
    """At its own size, and within a second, for which weights are not written."""
    graph = zoo.graph(name)
    start = time.process_time()
    model = building.without_values(opened(graph, OPERATIONS), "float32", building.OPSET)
    assert time.process_time() - start < 1
    names = [tensor.name for tensor in model.graph.initializer if "/" not in tensor.name]
    assert names == [parameter.name for parameter in graph.parameters]
    check(as_inputs(model), graph)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_every_operation_passes_onnx_own_checks(dtype, spec):
    model = zoo.build(spec, "onnx", dtype=dtype)
    check(model, zoo.graph(spec))
    ops = {node.op_type for node in model.graph.node}
    assert not ops & {"Dropout", "Identity"}


def test_outputs_and_the_free_batch():
    model = zoo.build(GOOGLENET, "onnx", aux=True)
    check(model, zoo.graph(GOOGLENET, aux=True))
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["logits", "aux1", "aux2"]
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (
        10,
        [("", 21)],
    )
    assert (model.producer_name, model.producer_version) == ("zoo", zoo.__version__)
    assert model.graph.name == "small_googlenet"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_every_operation_in_onnx_runtime_or_its_reference(dtype, spec):
    graph = zoo.graph(spec)
    x = photographs(2, graph)
    weights, reference = conditioned(graph, x)
    model = zoo.build(spec, "onnx", dtype=dtype)
    zoo.set_weights(model, weights)
    found = zoo.features(model, x, [node.name for node in graph.nodes])
    allowed = {"float32": 1e-5, "float64": 1e-12, "float16": 2e-2}[dtype]
    for name, value in reference.items():
        assert found[name].dtype == dtype
        assert error(found[name].astype(np.float64), value) <= allowed, name


def test_bfloat16_is_computed_and_returned_as_float32(spec):
    load("torch")
    model = zoo.build(spec, "onnx", dtype="bfloat16")
    x = photographs(1, zoo.graph(spec))
    single = zoo.convert(model, "torch").float()
    found = zoo.predict(model, x)
    assert found.dtype == np.float32
    assert error(found, zoo.predict(single, x)) < 0.1


QUIET = """
import os, sys
os.environ.pop("CI", None)  # there, OpenVINO reports nothing
os.register_at_fork(before=lambda: print("a fork"))
from zoo.onnx import engines
openvino = engines.openvino()
openvino.convert_model(sys.argv[1])
assert engines.openvino() is openvino and "openvino_telemetry" not in sys.modules
"""


def test_openvino_reports_nothing(tmp_path, spec):
    zoo.save(zoo.build(spec, "onnx"), tmp_path / "m.onnx")
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path / "m.onnx")],
        capture_output=True, text=True, timeout=HANG, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "intel").exists()


def test_onnx_runtime_reports_nothing(tmp_path):
    """It would keep the number of its session among the temporary files."""
    code = "import zoo; zoo.predict(zoo.build('lenet5', 'onnx'), [[[[0.0] * 32] * 32]])"
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment = {**kept, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


#: Networks with every kind of layer that engines might take in another way, and their sizes.
ENGINES = [
    (GOOGLENET, {"aux": True}),
    (VGG_BN, {}),
    ("mobilenet_v3_small", {"input_size": 64}),
    ("shufflenet_v2_x0_5", {"input_size": 64}),
    ("convnext_tiny", {"input_size": 64}),
    ("efficientnet_b0", {"input_size": 64}),
    ("densenet121", {"input_size": 64}),
]


@pytest.mark.parametrize(("name", "options"), ENGINES, ids=str)
def test_openvino_takes_the_default_version_and_computes_the_same(name, options, tmp_path):
    openvino = engines.openvino()
    graph = zoo.graph(name, **options)
    x = photographs(3, graph).astype(np.float32)
    weights, reference = conditioned(graph, x)
    model = zoo.build(graph, "onnx")
    zoo.set_weights(model, weights)
    zoo.save(model, tmp_path / "model.onnx")
    converted = openvino.convert_model(tmp_path / "model.onnx")
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    results = openvino.compile_model(converted, "CPU", hints)(x)
    for output, node in graph.output_nodes.items():
        assert error(results[output], reference[node.name]) <= 2e-5


@pytest.mark.parametrize("channels", [[1, 2, 3, 0], [3, 2, 1, 0], [0], [0, 1, 2, 3]], ids=str)
def test_openvino_takes_channels_in_another_order(channels, spec_file, tmp_path):
    """It merges a Gather of all channels with a convolution, in the opposite order."""
    openvino = engines.openvino()
    layers = (
        f"{{op: select, channels: {channels}}}\nconv: {{op: conv, out_channels: 3, kernel_size: 3}}"
    )
    graph = zoo.graph(spec_file(f"a: {layers}"), in_channels=len(channels), input_size=6)
    x = np.random.default_rng(0).standard_normal((2, len(channels), 6, 6)).astype(np.float32)
    model = zoo.build(graph, "onnx")
    zoo.save(model, tmp_path / "m.onnx")
    compiled = openvino.compile_model(openvino.convert_model(tmp_path / "m.onnx"), "CPU")
    assert error(compiled(x)["logits"], ops.run(graph, x, zoo.get_weights(model))["logits"]) < 1e-5


@pytest.mark.parametrize("opset", range(18, onnx.defs.onnx_opset_version() + 1))
def test_every_version_of_the_operations(opset, spec):
    graph = zoo.graph(spec)
    x = photographs(1, graph)
    weights, _ = conditioned(graph, x)
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    reference = dict(ops.steps(graph, x, weights))
    model = zoo.onnx.build(graph, weights, opset=opset)
    check(model, graph)
    assert model.opset_import[0].version == opset
    found = zoo.features(model, x, [node.name for node in graph.nodes])
    assert all(error(found[name], value) <= 1e-12 for name, value in reference.items())
    assert zoo.graph_of(model) == graph


def test_an_exported_file_has_the_version_that_is_asked_for_or_that_of_its_model(tmp_path):
    graph = zoo.graph("lenet5")
    model = zoo.build(graph, "onnx")
    zoo.export(model, tmp_path / "a.onnx", opset=19)
    zoo.export(zoo.onnx.build(graph, zoo.get_weights(model), opset=18), tmp_path / "b.onnx")
    versions = [onnx.load(tmp_path / name).opset_import[0].version for name in ("a.onnx", "b.onnx")]
    assert versions == [19, 18]
    with pytest.raises(
        zoo.InputError, match="the version of an ONNX file; for others, leave it out"
    ):
        zoo.export(model, tmp_path / "c.xml", opset=18)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


@pytest.mark.parametrize("opset", [17, 1000, 0, -1, "21", 21.5, True])
def test_versions_that_zoo_does_not_write(opset):
    graph = zoo.graph(VGG_BN)
    weights = zoo.get_weights(zoo.build(graph, "onnx"))
    with pytest.raises(InputError, match="opset"):
        zoo.onnx.build(graph, weights, opset=opset)


def test_weights_that_do_not_fit_a_graph():
    graph = zoo.graph(VGG_BN)
    weights = zoo.get_weights(zoo.build(graph, "onnx"))
    del weights["fc3.bias"]
    with pytest.raises(WeightsError, match=r"missing: fc3.bias"):
        zoo.onnx.build(graph, weights)


ALONE = """
import sys
import numpy as np, zoo
model = zoo.build({name!r}, "onnx")
zoo.predict(model, np.zeros((1, 3, 32, 32), np.float32))
zoo.set_weights(model, zoo.get_weights(model))
zoo.save(model, {path!r})
zoo.save(zoo.load({path!r}, "onnx"), {path!r}.replace(".onnx", ".safetensors"))
frameworks = {{"torch", "paddle", "keras", "tensorflow", "jax", "flax", "openvino"}}
print(frameworks & sys.modules.keys() or "none", "onnxruntime" in sys.modules)
"""


def test_no_framework_is_imported(tmp_path):
    code = ALONE.format(name=VGG_BN, path=str(tmp_path / "w.onnx"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.stdout == "none True\n", done.stderr


def test_metadata():
    graph = zoo.graph("googlenet", num_classes=2, classes=["cat", "Größe"], input_size=64)
    stated = building.texts_of(zoo.build(graph, "onnx"))
    assert stated["model"] == "googlenet"
    assert json.loads(stated["options"])["num_classes"] == 2
    assert json.loads(stated["classes"]) == ["cat", "Größe"]
    assert json.loads(stated["preprocessing"]) == json.loads(
        json.dumps(graph.to_dict()["preprocessing"])
    )
    assert len(stated["spec_digest"]) == len(stated["weights_digest"]) == 32
    assert "source" not in stated


def test_the_source_and_the_license_of_weights(tmp_path, monkeypatch):
    graph = zoo.graph(VGG_BN)
    origin = {"source": "Somebody", "file": "w.pth", "license": "MIT"}
    object.__setattr__(graph, "origin", origin)
    model = zoo.build(graph, "onnx")
    assert (
        building.texts_of(model)["source"] == "Somebody"
        and building.texts_of(model)["license"] == "MIT"
    )
    zoo.save(model, tmp_path / "w.onnx")
    assert zoo.graph_of(zoo.load(tmp_path / "w.onnx", "onnx")).origin == origin


def test_digests_follow_what_they_are_of():
    first, other = (zoo.build(VGG_BN, "onnx", seed=seed) for seed in (1, 2))
    assert building.texts_of(first)["weights_digest"] != building.texts_of(other)["weights_digest"]
    assert building.texts_of(first)["spec_digest"] == building.texts_of(other)["spec_digest"]
    zoo.set_weights(other, zoo.get_weights(first))
    assert building.texts_of(first) == building.texts_of(other)
    assert (
        building.texts_of(zoo.build(GOOGLENET, "onnx"))["spec_digest"]
        != building.texts_of(first)["spec_digest"]
    )


def test_a_session_is_never_older_than_the_weights():
    """Weights are changed by zoo's function and by hand, of two models in turn."""
    x = np.random.default_rng(0).random((2, 3, 32, 32)).astype(np.float32)
    run._sessions.clear()
    models = [zoo.build(VGG_BN, "onnx", seed=seed) for seed in (1, 2)]
    first = [zoo.predict(model, x) for model in models]
    assert not np.array_equal(*first)
    for model, expected in zip(models * 3, first * 3, strict=True):
        assert np.array_equal(zoo.predict(model, x), expected)
    assert len(run._sessions) == 2
    bias = next(t for t in models[0].graph.initializer if t.name == "fc3.bias")
    value = numpy_helper.to_array(bias)
    bias.raw_data = (value + 1).tobytes()
    assert error(zoo.predict(models[0], x), first[0] + 1) < 1e-6
    bias.CopyFrom(helper.make_tensor(bias.name, bias.data_type, bias.dims, value + 2))  # no bytes
    assert error(zoo.predict(models[0], x), first[0] + 2) < 1e-6
    bias.float_data[:] = value + 3
    assert error(zoo.predict(models[0], x), first[0] + 3) < 1e-6
    for _ in range(5):
        zoo.predict(zoo.build(VGG_BN, "onnx", seed=9, num_classes=_ + 2), x)
    assert len(run._sessions) == run._MAX_SESSIONS, "they are not kept for ever"


def test_a_weight_given_by_hand_is_saved(tmp_path):
    model = zoo.build(VGG_BN, "onnx")
    bias = next(t for t in model.graph.initializer if t.name == "fc3.bias")
    bias.CopyFrom(helper.make_tensor(bias.name, bias.data_type, bias.dims, range(7)))
    assert list(zoo.get_weights(model)["fc3.bias"]) == list(range(7))
    zoo.save(model, tmp_path / "w.onnx")
    assert list(zoo.get_weights(zoo.load(tmp_path / "w.onnx", "onnx"))["fc3.bias"]) == [*range(7)]


def test_foreign_models_are_run_and_not_taken_for_zoos():
    x = helper.make_tensor_value_info("x", 1, ["n", 3, None, None])
    y = helper.make_tensor_value_info("y", 1, None)
    node = helper.make_node("Relu", ["x"], ["y"], "act")
    model = helper.make_model(
        helper.make_graph([node], "foreign", [x], [y]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    images = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    assert np.array_equal(zoo.predict(model, images), np.maximum(images, 0))
    for verb in (zoo.graph_of, lambda m: zoo.save(m, "w.onnx"), lambda m: zoo.convert(m, "onnx")):
        with pytest.raises(BackendError, match="does not know its graph"):
            verb(model)
    model.graph.node[0].op_type = "NoSuchOperation"
    with pytest.raises(BackendError, match="this ONNX model cannot be run: .*NoSuchOperation"):
        zoo.predict(model, images)
    model.graph.input.append(helper.make_tensor_value_info("z", 1, [1]))
    with pytest.raises(BackendError, match="expected an ONNX model of one input"):
        zoo.predict(model, images)
