"""``zoo.export``: every target, read back here by its own runtime."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
from click.testing import CliRunner
from loading import load
from PIL import Image

import zoo
from zoo.backend import registry
from zoo.cli.program import program
from zoo.data import images
from zoo.exporting import comparison, export
from zoo.exporting.targets import TARGETS
from zoo.verification.comparison import error

HEADER = """
options: {num_classes: 5, in_channels: 3, input_size: 14}
preprocessing: {channels: bgr, range: 255, mean: [123, 117, 104], std: [1, 2, 3]}
outputs: {logits: {from: fc}, aux1: {from: aux1}, aux2: {from: aux2}}
"""
LAYERS = """
conv: {op: conv, from: input, out_channels: 6, kernel_size: 3, stride: 2, padding: same}
bn: {op: batch_norm, scale: false}
gelu: {op: gelu}
aux1: {when: $aux, layers: {pool: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
shuffle: {op: channel_shuffle, from: gelu, groups: 2}
adaptive: {op: adaptive_avg_pool, output_size: 5}
pool: {op: avg_pool, kernel_size: 2, stride: 2, padding: 1, count_include_pad: false}
aux2: {when: $aux, layers: {flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
flatten: {op: flatten, from: pool}
drop: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""
NAMES = {target.name: f"model{target.suffix}" for target in TARGETS}
LAST = ("savedmodel", "litert", "jax")  # they take [N, H, W, C]
TO = list(NAMES)


def run_onnx(path, x):
    from zoo.onnx import engines

    session = engines.onnxruntime().InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": x}), strict=True))


def run_openvino(path, x):
    from zoo.onnx import engines

    model = (
        engines.openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    )
    return {output.any_name: value for output, value in model({"input": x}).items()}


def run_torch(path, x):
    import torch

    result = torch.export.load(path).module()(torch.from_numpy(x))
    result = result if isinstance(result, dict) else {"": result}
    return {name: value.detach().numpy() for name, value in result.items()}


def run_savedmodel(path, x):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"](input=tf.constant(x))
    result = {name: value.numpy() for name, value in loaded.serve(x).items()}
    assert set(signature) == set(result)
    names = ("probabilities", "logits", "aux1", "aux2")  # its outputs are a map without an order
    return {name: result.pop(name) for name in names if name in result} | result


def run_litert(path, x):
    import tensorflow as tf

    with warnings.catch_warnings():  # that LiteRT will have a package of its own
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(str(path))
    by_name = interpreter.get_signature_runner()(input=x)
    details = interpreter.get_output_details()
    order = {
        d["index"]: name
        for name, d in interpreter.get_signature_runner().get_output_details().items()
    }
    return {order[detail["index"]]: by_name[order[detail["index"]]] for detail in details}


def run_paddle(path, x):
    from paddle import inference

    config = inference.Config(str(path / "inference.json"), str(path / "inference.pdiparams"))
    config.disable_onednn()
    predictor = inference.create_predictor(config)
    results = predictor.run([_tensor(x)])
    return {
        name: value.numpy()
        for name, value in zip(predictor.get_output_names(), results, strict=True)
    }


def _tensor(x):
    import paddle

    return paddle.to_tensor(x)


def run_jax(path, x):
    from jax import export as jax_export

    result = jax_export.deserialize(bytearray(path.read_bytes())).call(x)
    result = result if isinstance(result, dict) else {"": result}
    return {name: np.asarray(value) for name, value in result.items()}


def run(to, path, x):
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1) if to in LAST else x)
    return globals()[f"run_{to}"](path, x)


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.fixture
def model(spec_file):
    load("torch")
    return zoo.build(spec_file(LAYERS, header=HEADER), "torch", aux=True, seed=3)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((3, 3, 14, 14)).astype(np.float32)


@pytest.fixture
def targeted():
    def needs(to):
        (target,) = (target for target in TARGETS if target.name == to)
        load(target.backend)
        if to == "jax":
            import jax

            jax.config.update("jax_enable_x64", True)  # as every test of Flax does
        for module in (*target.needs, *target.needs_to_check):
            if not os.environ.get("CI") and not registry.is_importable(module):
                pytest.skip(f"{module} is not installed")  # not imported: only zoo does it silently

    return needs


@pytest.mark.parametrize("to", TO)
def test_logits_alone(to, model, x, tmp_path, targeted):
    targeted(to)
    exported = zoo.export(model, tmp_path / NAMES[to], to=to)
    assert exported.error <= exported.tolerance == 1e-5
    assert (exported.outputs, exported.input_shape[0]) == (("logits",), None)
    expected = zoo.predict(model, x)["logits"]
    for count in (1, 3):
        ((name, value),) = run(to, tmp_path / NAMES[to], x[:count]).items()
        assert name in ("logits", "")
        assert error(value, expected[:count]) <= 1e-5
    left = {path.name for path in tmp_path.iterdir()} - {"tiny.yaml"}
    assert left == {NAMES[to]} | ({"model.bin"} if to == "openvino" else set())


@pytest.mark.parametrize("to", TO)
def test_pixels_in_and_probabilities_out_with_heads_in_their_order(
    to, model, x, tmp_path, targeted
):
    targeted(to)
    exported = zoo.export(
        model, tmp_path / NAMES[to], to=to, preprocess=True, softmax=True, aux=True
    )
    assert exported.outputs == ("probabilities", "aux1", "aux2")
    photograph = Image.open(images.default())
    pixels = [np.asarray(photograph.resize((14, 14)), np.uint8) for _ in range(2)]
    pixels.append(pixels[0][::-1])
    expected = zoo.predict(
        model, np.concatenate([zoo.preprocess(p, _uncropped(model)) for p in pixels])
    )
    rgb = np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32)
    found = run(to, tmp_path / NAMES[to], rgb)
    assert list(found) == ["probabilities", "aux1", "aux2"]
    for value, logits in zip(found.values(), expected.values(), strict=True):
        assert error(value, softmax(logits)) <= 1e-5 * max(1, np.abs(logits).max())


def _uncropped(model):
    """The graph of a model, with a preprocessing that leaves images of its size as they are."""
    graph = zoo.graph_of(model)
    return replace(graph, preprocessing={**graph.preprocessing, "crop": 1})


@pytest.mark.parametrize("to", ["torch", "savedmodel", "paddle", "jax"])
def test_float64(to, spec_file, x, tmp_path, targeted):
    targeted(to)
    model = zoo.build(spec_file(LAYERS, header=HEADER), "torch", dtype="float64")
    exported = zoo.export(model, tmp_path / NAMES[to], to=to, preprocess=True)
    assert exported.error <= exported.tolerance == 1e-12
    assert (
        error(
            next(
                iter(
                    run(
                        to, zoo.export(model, tmp_path / NAMES[to], to=to).path, x.astype(float)
                    ).values()
                )
            ),
            zoo.predict(model, x.astype(float)),
        )
        <= 1e-12
    )


def test_onnx_from_every_framework(backend, framework, spec_file, x, tmp_path, targeted):
    targeted("onnx")
    model = zoo.build(spec_file(LAYERS, header=HEADER), backend, aux=True, seed=5)
    before = zoo.get_weights(model)
    zoo.export(model, tmp_path / "model.onnx", aux=True)
    found = run("onnx", tmp_path / "model.onnx", x)
    assert list(found) == ["logits", "aux1", "aux2"]
    for name, value in zoo.predict(model, x).items():
        assert error(found[name], value) <= 1e-5
    after = zoo.get_weights(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_network_of_one_channel_takes_luminance(spec_file, tmp_path, targeted):
    targeted("torch")
    model = zoo.build("lenet5", "torch")
    exported = zoo.export(model, tmp_path / "lenet.pt2", preprocess=True)
    assert exported.input_shape == (None, 1, 32, 32)
    assert exported.error <= 1e-5


@pytest.mark.parametrize("to", TO)
def test_on_the_command_line(to, model, tmp_path, targeted):
    targeted(to)
    path = tmp_path / NAMES[to]
    arguments = ["export", str(tmp_path / "tiny.yaml"), str(path), "--to", to, "--json", "--aux"]
    done = CliRunner().invoke(program, [*arguments, "--softmax", "--preprocess"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["outputs"] == ["probabilities", "aux1", "aux2"]
    assert result["error"] <= result["tolerance"]


def test_the_line_on_the_command_line(model, tmp_path, targeted):
    targeted("onnx")
    path = tmp_path / "model.onnx"
    done = CliRunner().invoke(
        program, ["export", str(tmp_path / "tiny.yaml"), str(path), "--backend", "torch"]
    )
    first, second = done.stdout.splitlines()
    assert first.startswith(f"tiny in {path}, ONNX: in ONNX Runtime it differs from the model by ")
    assert first.endswith("(tolerance 1.0e-05)")
    assert second == "weights: untrained, seed 0"
    assert f"Comparing {path}" in done.stderr
    done = CliRunner().invoke(
        program, ["export", str(tmp_path / "tiny.yaml"), str(path), "--no-check"]
    )
    assert "not compared with the model" in done.stdout


def different(*arguments, **more):
    return comparison.Difference(0.25, 1e-5, "the model")


def test_an_onnx_model_is_compared_with_its_definition(tmp_path, targeted, monkeypatch):
    """ONNX Runtime would compare the same program with itself."""
    targeted("onnx")
    model = zoo.build("lenet5", "onnx")
    exported = zoo.export(model, tmp_path / "lenet5.onnx", softmax=True)
    assert exported.reference == "NumPy in float64" and 0 < exported.error < exported.tolerance
    from zoo.onnx.operations import OPERATIONS

    monkeypatch.setitem(OPERATIONS, "tanh", OPERATIONS["sigmoid"])
    with pytest.raises(zoo.BackendError, match="differs from NumPy in float64"):
        zoo.export(zoo.build("lenet5", "onnx"), tmp_path / "wrong.onnx")
    assert not (tmp_path / "wrong.onnx").exists()


@pytest.mark.parametrize("to", TO)
def test_a_program_that_differs_is_not_kept(to, model, tmp_path, targeted, monkeypatch):
    targeted(to)
    monkeypatch.setattr(export, "compare", different)
    path, before = tmp_path / NAMES[to], set(tmp_path.iterdir())
    with pytest.raises(
        zoo.BackendError, match=r"differs from the model by 2.5e-01 \(tolerance 1.0e-05\)"
    ):
        zoo.export(model, path, to=to)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("to", ["onnx", "openvino", "paddle"])
def test_what_was_there_stays_after_an_error(to, model, tmp_path, targeted, monkeypatch):
    targeted(to)
    path = tmp_path / NAMES[to]
    zoo.export(model, path, to=to)
    before = contents(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(export, "compare", different)
        with pytest.raises(zoo.BackendError, match="it was not kept"):
            zoo.export(model, path, to=to, softmax=True)
    assert contents(tmp_path) == before
    zoo.export(model, path, to=to, softmax=True)
    assert contents(tmp_path).keys() == before.keys()
    assert contents(tmp_path) != before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_difference_ends_the_command_with_status_1(model, tmp_path, targeted, monkeypatch):
    targeted("onnx")
    monkeypatch.setattr(export, "compare", different)
    done = CliRunner().invoke(
        program, ["export", str(tmp_path / "tiny.yaml"), str(tmp_path / "model.onnx")]
    )
    assert done.exit_code == 1
    assert "pass --no-check to keep it" in done.stderr
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("model", {}, r"expected one of \.onnx, \.xml, \.pt2, \.tflite, \.jaxexport, or to="),
        ("model.pth", {}, "its suffix does not say what to write"),
        ("model.onnx", {"to": "onx"}, "unknown target 'onx'. Did you mean 'onnx'?"),
        ("model.onnx", {"to": 5}, "unknown target 5. Known: onnx, openvino"),
        (
            "model.onnx",
            {"to": "torch"},
            r"PyTorch's exported program needs a name that ends in \.pt2",
        ),
        ("model.onnx", {"to": "paddle"}, r"is a folder, and \.onnx is for ONNX"),
        ("no/model.onnx", {}, "there is no folder"),
        ("folder.onnx", {}, "ONNX is a file, and this is a folder"),
        ("file", {"to": "savedmodel"}, "is a folder, and something else is already there"),
        ("folder", {"to": "savedmodel"}, "holds 'mine', which is no part of"),
        ("model.onnx", {"softmax": 1}, "softmax must be True or False, got 1"),
        ("a\0.onnx", {}, "cannot be written"),
        ("", {}, "path must be the path of a file or folder"),
        (
            "folder",
            {"to": "paddle"},
            "holds 'mine', which is no part of Paddle's inference program",
        ),
    ],
)
def test_mistakes(name, options, message, model, tmp_path):
    for folder in ("folder.onnx", "folder"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(zoo.ZooError, match=message):
        zoo.export(model, os.path.join(tmp_path, name) if name else name, **options)
    assert sorted(tmp_path.rglob("*")) == before


def test_options_that_do_not_fit_the_model(spec_file, tmp_path):
    load("torch")
    path = spec_file(LAYERS, header=HEADER)
    plain = zoo.build(path, "torch")
    with pytest.raises(
        zoo.InputError, match="was built without auxiliary heads; build it with aux"
    ):
        zoo.export(plain, tmp_path / "a.pt2", aux=True)
    with pytest.raises(
        zoo.InputError, match="lenet5 has no auxiliary heads; export it without aux=True"
    ):
        zoo.export(zoo.build("lenet5", "torch"), tmp_path / "a.pt2", aux=True)
    with pytest.raises(zoo.InputError, match="has no classifier, and so no softmax"):
        zoo.export(zoo.build(path, "torch", num_classes=0), tmp_path / "a.pt2", softmax=True)
    with pytest.raises(zoo.InputError, match="takes 4 channels, and preprocess=True is for"):
        zoo.export(zoo.build(path, "torch", in_channels=4), tmp_path / "a.pt2", preprocess=True)
    with pytest.raises(zoo.InputError, match="this tiny is float16"):
        zoo.export(zoo.build(path, "torch", dtype="float16"), tmp_path / "a.pt2")
    with pytest.raises(zoo.InputError, match="LiteRT is written from a model of float32"):
        zoo.export(zoo.build(path, "torch", dtype="float64"), tmp_path / "a.tflite")
    with pytest.raises(zoo.BackendError, match="expected a model of"):
        zoo.export("googlenet", tmp_path / "a.pt2")
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("module", ["onnxruntime", "openvino"])
def test_a_missing_package_is_one_sentence(module, model, tmp_path, monkeypatch):
    from zoo.backend import registry

    importable = registry.is_importable
    monkeypatch.setattr(registry, "is_importable", lambda name: name != module and importable(name))
    name = {"onnxruntime": "a.onnx", "openvino": "a.xml"}[module]
    with pytest.raises(zoo.BackendError, match=rf"zoo needs {module}: python -m pip install"):
        zoo.export(model, tmp_path / name)


def test_what_an_exporter_says_is_passed_on(model, tmp_path, targeted, monkeypatch):
    targeted("torch")
    from zoo.torch.programs import ExportedProgram

    def fail(*arguments):
        raise ValueError("no operation of this kind\nand much more")

    monkeypatch.setattr(ExportedProgram, "write", fail)
    text = r"torch.export cannot write this tiny: ValueError: no operation of this kind. ONNX can"
    with pytest.raises(zoo.BackendError, match=text):
        zoo.export(model, tmp_path / "a.pt2")
    monkeypatch.undo()
    monkeypatch.setattr(ExportedProgram, "read", fail)
    with pytest.raises(zoo.BackendError, match="PyTorch cannot run it: ValueError: no operation"):
        zoo.export(model, tmp_path / "a.pt2")
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_program_of_pixels_takes_no_more_layers(model, tmp_path, targeted):
    """What was put in front once is not put there again."""
    targeted("torch")
    exported = zoo.export(model, tmp_path / "a.pt2", preprocess=True, softmax=True, check=False)
    again = zoo.build(exported.graph, "torch")
    twice = zoo.export(again, tmp_path / "b.pt2", preprocess=True, softmax=True, check=False)
    assert twice.graph == exported.graph


@pytest.mark.slow
@pytest.mark.parametrize("to", TO)
def test_googlenet(to, tmp_path, targeted):
    targeted(to)
    model = zoo.build("googlenet", "torch", aux=True)
    exported = zoo.export(
        model, tmp_path / NAMES[to], to=to, preprocess=True, softmax=True, aux=True
    )
    assert exported.error <= exported.tolerance


@pytest.mark.slow
@pytest.mark.parametrize("to", TO)
def test_a_small_googlenet(to, tmp_path, targeted):
    targeted(to)
    exported = zoo.export(zoo.build(small.GOOGLENET, "torch"), tmp_path / NAMES[to], to=to)
    assert exported.error <= exported.tolerance


def test_an_operation_that_litert_lacks_is_named(model, tmp_path, targeted, monkeypatch):
    targeted("litert")
    from zoo.keras import programs

    def fail(*arguments, **settings):
        raise RuntimeError("loc(fused): error: 'tf.Erf' op is neither a custom op nor a flex op")

    monkeypatch.setattr(programs, "_export", fail)
    with pytest.raises(zoo.BackendError, match="LiteRT has no operation Erf. ONNX can"):
        zoo.export(model, tmp_path / "a.tflite")
