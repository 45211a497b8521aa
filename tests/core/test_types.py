"""What a type checker knows of the public verbs."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG

import zoo

STUB = Path(zoo.__file__).parent / "api" / "typed.pyi"

OPTIONS = (
    "--no-incremental", "--follow-imports=silent", "--ignore-missing-imports", "--no-site-packages"
)  # fmt: skip

PROGRAM = """
import zoo

backend: str = input()
reveal_type(zoo.build("vgg16", "torch"))
reveal_type(zoo.build("vgg16", backend="paddle", num_classes=10, weights="paddle"))
reveal_type(zoo.load("vgg16.safetensors", "keras", mmap=True))
reveal_type(zoo.convert(zoo.build("vgg16", "jax"), "flax"))
reveal_type(zoo.convert(zoo.build("vgg16", "jax"), "onnx"))
reveal_type(zoo.build("vgg16", backend))
zoo.build("vgg16", "torch", num_clases=10)
"""


def test_a_model_has_the_type_of_its_framework(tmp_path):
    # Stand-ins for the frameworks, which take mypy minutes; other packages are left out, too.
    for name, text in {
        "torch/__init__.pyi": "from torch import nn as nn",
        "torch/nn.pyi": "class Module: ...",
        "paddle/__init__.pyi": "from paddle import nn as nn",
        "paddle/nn.pyi": "class Layer: ...",
        "keras.pyi": "class Model: ...",
        "flax/__init__.pyi": "",
        "onnx.pyi": "class ModelProto: ...",
        "flax/nnx.pyi": "class Module: ...",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "program.py").write_text(PROGRAM)
    root = Path(zoo.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *OPTIONS, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": f"{tmp_path}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("program.py")]
    revealed = [line.split('"')[1] for line in lines if "Revealed type" in line]
    assert revealed == [
        "torch.nn.Module",
        "paddle.nn.Layer",
        "keras.Model",
        "flax.nnx.Module",
        "onnx.ModelProto",
        "Any",
    ], done.stdout + done.stderr
    assert any('"num_clases"' in line and ": error:" in line for line in lines)


@pytest.mark.parametrize(
    ("verb", "options"), [("build", "_Build"), ("load", "_Load"), ("convert", None)]
)
def test_the_stub_has_the_options_of_the_functions(verb, options):
    tree = ast.parse(STUB.read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    stated = {}
    if options:
        stated = {node.target.id: ast.unparse(node.annotation) for node in classes[options].body}
    parameters = inspect.signature(getattr(zoo, verb)).parameters.values()
    keywords = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert stated == keywords
    overloads = [node for node in tree.body if getattr(node, "name", None) == verb]
    assert len(overloads) == len(("torch", "paddle", "keras", "flax", "onnx", "any other"))
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert all([a.arg for a in node.args.args] == positional for node in overloads)
