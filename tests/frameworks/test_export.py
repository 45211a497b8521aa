"""``zoo.export``: every target, read back here by its own runtime."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import small
from click.testing import CliRunner
from exporting import HEADER, LAYERS, NAMES, TO, run
from exporting import model as model
from exporting import targeted as targeted
from exporting import x as x
from PIL import Image

import zoo
from zoo.cli.program import program
from zoo.data import images
from zoo.verification.comparison import error


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


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
