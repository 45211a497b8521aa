"""Source files as text: what they import, their form, and that the four line up."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from everything import LAYERS
from limits import HANG
from small import GOOGLENET

import zoo
from zoo.errors import BackendError, InputError

BACKENDS = ("torch", "paddle", "keras", "flax")
FRAMEWORKS = {"torch", "paddle", "keras", "tensorflow", "jax", "flax"}

#: What may be imported by each file, besides the standard library.
ALLOWED = {
    "torch": {"torch"},
    "paddle": {"paddle"},
    "keras": {"keras", "numpy"},
    "flax": {"flax", "jax", "numpy"},
}


@pytest.fixture(scope="module")
def written():
    names = ("googlenet", "vgg16", "resnet50")
    return {(n, b): zoo.source(n, b) for n in names for b in BACKENDS}


def definitions(text):
    """The names of classes and functions, without those that the framework lacks."""
    tree = ast.parse(text)
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_imports_its_framework_alone(written, backend):
    for (_, other), text in written.items():
        if other == backend:
            imported = {
                name.partition(".")[0]
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for name in (
                    [node.module]
                    if isinstance(node, ast.ImportFrom)
                    else [a.name for a in node.names]
                )
            }
            assert imported - set(sys.stdlib_module_names) <= ALLOWED[backend]


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("googlenet", ["conv", "inception", "aux_head", "googlenet"]),
        ("vgg16", ["conv", "stage", "vgg"]),
        ("resnet50", ["conv", "bottleneck", "stage", "resnet"]),
    ],
)
def test_the_four_files_have_the_same_blocks_in_the_same_order(written, name, blocks):
    for backend in BACKENDS:
        found = [each.lower().replace("_", "") for each in definitions(written[name, backend])]
        wanted = [block.replace("_", "") for block in blocks]
        if backend == "keras":
            wanted[-1] = name  # the function has the name of the model
        assert [each for each in found if each in wanted] == wanted
        assert found[-1] == "main"


@pytest.mark.parametrize("backend", BACKENDS)
def test_googlenet_is_short(written, backend):
    assert len(written["googlenet", backend].splitlines()) < 150


def test_blocks_have_parameters_and_the_table_is_a_table(written):
    text = written["googlenet", "torch"]
    assert text.count("class Inception") == 1
    assert '    "inception4d": (112, 144, 288, 32, 64, 64),' in text.splitlines()
    assert "num_classes=1000, aux=False" in text
    inception = text[text.index("class Inception") : text.index("class AuxHead")]
    for parameter in ("n1x1", "n3x3_reduce", "n3x3", "n5x5_reduce", "n5x5", "pool_proj"):
        assert parameter in inception


def test_repetitions_are_loops(written):
    assert written["resnet50", "torch"].count("Bottleneck(") == 2  # the class, and in the stage
    assert "for i in range(depth):" in written["resnet50", "torch"]
    assert "stride if i == 0 else 1" in written["resnet50", "torch"]


def test_a_projection_exists_under_the_condition_of_the_spec(written):
    assert "stride != 1 or in_channels != 4 * channels" in written["resnet50", "torch"]


def test_files_are_formatted_and_clean(written, tmp_path, spec_file):
    texts = dict(written)
    everything = spec_file(LAYERS)
    for backend in BACKENDS:
        texts["everything", backend] = zoo.source(everything, backend, in_channels=3)
    for (name, backend), text in texts.items():
        (tmp_path / f"{name}_{backend}.py").write_text(text)
    rules = "E,F,W,I,UP,B,SIM,C4"
    for command in (["format", "--check"], ["check", "--select", rules]):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "--isolated",
                "--target-version",
                "py311",
                tmp_path,
            ],
            capture_output=True,
            text=True,
            timeout=HANG,
        )
        assert done.returncode == 0, done.stdout


def test_options_are_the_defaults_of_the_network():
    text = zoo.source("googlenet", "torch", aux=True, num_classes=7)
    assert "num_classes=7, aux=True" in text


def test_writing_imports_no_framework():
    code = (
        "import sys, zoo\n"
        f"for backend in {BACKENDS}: zoo.source('lenet5', backend)\n"
        "print(*(name for name in sys.modules if '.' not in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr
    assert not FRAMEWORKS & set(done.stdout.split())


def test_a_users_file_can_be_written(tmp_path):
    path = tmp_path / "mine.py"
    text = zoo.source(GOOGLENET, "flax", path)
    assert path.read_text() == text
    ast.parse(text)


def test_a_graph_from_data_has_its_spec():
    graph = zoo.Graph.from_dict(zoo.graph("vgg11").to_dict())
    assert zoo.source(graph, "torch") == zoo.source("vgg11", "torch")


def test_other_backends_are_refused_by_name():
    with pytest.raises(BackendError, match="no source code can be written for the backend onnx"):
        zoo.source("vgg16", "onnx")
    with pytest.raises(InputError, match="already has its options"):
        zoo.source(zoo.graph("vgg16"), "torch", num_classes=3)


def test_keras_may_connect_a_deep_network():
    assert "\nsys.setrecursionlimit(" in zoo.source("efficientnet_v2_xl_tf", "keras")
    assert "sys" not in zoo.source("resnet50", "keras")
