"""What ends an export: one error, and what was there stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from exporting import HEADER, LAYERS, NAMES, TO
from exporting import model as model
from exporting import targeted as targeted
from loading import load

import zoo
from zoo.cli.program import program
from zoo.exporting import comparison, export


def different(*arguments, **more):
    return comparison.Difference(0.25, 1e-5, "the model")


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


def test_an_operation_that_litert_lacks_is_named(model, tmp_path, targeted, monkeypatch):
    targeted("litert")
    from zoo.keras import programs

    def fail(*arguments, **settings):
        raise RuntimeError("loc(fused): error: 'tf.Erf' op is neither a custom op nor a flex op")

    monkeypatch.setattr(programs, "_export", fail)
    with pytest.raises(zoo.BackendError, match="LiteRT has no operation Erf. ONNX can"):
        zoo.export(model, tmp_path / "a.tflite")
