"""A study as a file: what is asked, and what is wrong with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from asking import installed as installed
from asking import study
from limits import HANG

from zoo.backend import registry
from zoo.comparing import study as studies
from zoo.errors import BackendError, InputError, SpecError


def test_the_schema_is_up_to_date():
    path = Path(studies.__file__).with_name("study.schema.json")
    message = "python -m zoo.comparing.study > zoo/comparing/study.schema.json"
    assert json.loads(path.read_text()) == studies.schema(), message


def test_a_study_is_read_again_from_its_text(tmp_path):
    asked = study(
        grid={"momentum": [0.0, 0.9]}, native={"torch": {"padding": "same"}}, explain=True
    )
    (tmp_path / "study.yaml").write_text(asked.text())
    again = studies.of({}, tmp_path / "study.yaml")
    assert again.to_dict() == asked.to_dict() and again.stated == asked.stated


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 3}, "seed: unknown field. Did you mean 'seeds'?"),
        ({"seeds": 0}, "seeds: expected a number of seeds"),
        ({"seeds": []}, "seeds: expected at least one, got none"),
        ({"seeds": [1, 1]}, "seeds.1: it is there already"),
        ({"seeds": None}, "seeds: required field is missing"),
        ({"models": []}, "models: expected at least one"),
        ({"backends": "torch"}, "at least two frameworks, and only torch is named"),
        ({"backends": ["torch", "pytorch"]}, "at least two frameworks, and only torch is named"),
        ({"backends": ["all", "torch"]}, "'all' stands alone"),
        ({"backends": ["torch", "onnx"]}, "ONNX only infers"),
        ({"lr": None}, "lr: required field is missing"),
        ({"lr": -1}, "lr: expected a number above 0, got -1"),
        ({"optimizer": "adm"}, "optimizer: expected 'sgd', 'adam'"),
        ({"optimizer": "adam", "momentum": 0.9}, "adam has no momentum"),
        ({"grid": {"lr": [0.1]}}, "grid: lr is stated for all runs, too"),
        ({"grid": {"momentom": [0.1]}}, "unknown field of a recipe 'momentom'. Did you mean"),
        ({"grid": {"momentum": [0.5, 2]}}, "grid.momentum.1: expected a number of at least 0"),
        ({"grid": {"momentum": []}}, "grid.momentum: expected at least one"),
        ({"switches": ["paddin"]}, "unknown switch 'paddin'. Did you mean 'padding'?"),
        ({"native": {"torhc": {}}}, "unknown backend of this study 'torhc'. Did you mean 'torch'?"),
        ({"native": {"torch": {"pading": 1}}}, "unknown switch 'pading'"),
        ({"native": {"torch": {"padding": "sme"}}}, "native.torch.padding: expected 'stated' or"),
        ({"native": {"torch": {"order": 7}}, "switches": ["padding"]}, "not among the switches"),
        ({"margin": 0}, "margin: expected a number above 0"),
    ],
)  # fmt: skip
def test_a_mistake_has_one_error(fields, message):
    with pytest.raises(InputError) as error:
        study(**fields)
    assert message in str(error.value)


def test_a_mistake_in_a_file_has_its_line(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("models: lenet5\ndata: digits\nseeds: 2\nepoch: 1\nlr: 0.1\n")
    with pytest.raises(SpecError, match=r"study.yaml:4: \$.epoch: unknown field. Did you mean"):
        studies.of({}, path)
    path.write_text("models: lenet5\ndata: digits\nseeds: 2\nbackends: torch\nepochs: 1\nlr: 0.1\n")
    with pytest.raises(SpecError, match=r"study.yaml:4: \$.backends: .* only torch is named"):
        studies.of({}, path)


def test_a_missing_framework_is_named(monkeypatch):
    monkeypatch.setattr(registry, "is_installed", lambda entry: entry.name != "paddle")
    with pytest.raises(BackendError, match="needs PaddlePaddle: python -m pip install"):
        study(backends=["torch", "paddle"])
    assert [entry.name for entry in study(backends=None).entries] == ["torch", "keras", "flax"]


def test_without_scipy_is_one_line():
    code = (
        "import sys\nsys.modules['scipy'] = None\n"
        "sys.argv = ['zoo', 'compare', 'lenet5', '--data', 'digits', '--seeds', '2', '--epochs',"
        " '1', '--lr', '0.1', '--output', 'study']\n"
        "from zoo.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 2
    wanted = "error: studies need SciPy: python -m pip install 'polyzoo[compare]'"
    assert " ".join(done.stderr.split()) == wanted
