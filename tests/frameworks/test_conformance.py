"""The conformance suite: it passes right backends, and finds what is wrong with others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG
from loading import load

import zoo
from zoo.backend import registry
from zoo.errors import BackendError, UnknownNameError
from zoo.testing import conformance

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(package: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "zoo.testing.conformance", package],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=HANG,
    )


def test_the_numpy_backend_passes_what_it_claims():
    done = run("zoo_numpy", EXAMPLES / "numpy_backend")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not supported  gradients" in done.stdout
    assert "zoo's numpy backend computes no gradients" in done.stdout
    assert done.stdout.endswith("all checks passed\n")


def test_a_backend_that_only_infers_is_one_column(tmp_path):
    """It follows zoo's own, and takes part in the forward pass at every level."""
    info = tmp_path / "zoo_numpy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-numpy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoo.backends]\nnumpy = zoo_numpy\n")
    code = (
        "import zoo; from zoo.backend import registry; "
        "report = zoo.verify('lenet5_modern', backends=['numpy', 'torch', 'flax'], "
        "level='gradients'); "
        "print(list(registry.table())[-1], report.passed, len(report.training.pairs), "
        "[each.status for each in report.results], report.notes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{EXAMPLES / 'numpy_backend'}:{Path.cwd()}"},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    note = "NumPy is compared in inference only; it takes no part in level 'gradients'"
    statuses = ["compared"] * 3
    assert done.stdout == f"numpy True 1 {statuses} {(note,)}\n", done.stderr


@pytest.mark.slow
def test_zoos_own_backends_pass(backend):
    load(backend)
    done = run(f"zoo.{backend}", Path.cwd())
    assert done.returncode == 0, done.stdout + done.stderr
    lacking = [line.split("  ")[1] for line in done.stdout.splitlines() if "not supported" in line]
    assert lacking == (["gradients agree with difference quotients"] if backend == "onnx" else [])


def test_no_such_backend_is_one_line():
    done = run("nonsense", EXAMPLES)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the backend 'nonsense' cannot be imported")
    assert "Traceback" not in done.stderr


BACKEND = """
from zoo.backend.description import Description
from zoo_numpy.backend import Network, NumpyBackend

DESCRIPTION = Description("wrong", "Wrong", "wrong:Wrong", "numpy", owners=("wrong",))


class Other(Network):
    pass


class Wrong(NumpyBackend):
    description = DESCRIPTION

    def construct(self, graph, draw, dtype, seed):
        return Other(graph, {{p.name: draw(p) for p in graph.parameters}}, dtype)

{fault}
"""

FAULTS = {
    "lenet5: every node": """
    def observe(self, model, x, names):
        result, values = super().observe(model, x, names)
        return result, {name: [value * 1.001 for value in each] for name, each in values.items()}
""",
    "get_weights returns what set_weights set": """
    def assign(self, handle, array):
        handle[...] = array * (1 + 1e-6)
""",
    "initial weights equal zoo's": """
    def to_numpy(self, handle):
        return handle + 1
""",
    "several outputs are returned as a dict": """
    def predict(self, model, x):
        result = super().predict(model, x)
        return dict(reversed(result.items())) if isinstance(result, dict) else result
""",
}


@pytest.mark.parametrize("claim", FAULTS)
def test_a_fault_is_found(claim, tmp_path, monkeypatch, other_backends):
    (tmp_path / "wrong.py").write_text(BACKEND.format(fault=FAULTS[claim]))
    monkeypatch.syspath_prepend(str(EXAMPLES / "numpy_backend"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(conformance, "NETWORKS", (("lenet5", {}),))
    sys.modules.pop("wrong", None)
    failed = [r.claim for r in conformance.check("wrong") if r.status == conformance.FAILED]
    assert any(claim in each for each in failed), failed


def test_an_incomplete_backend_is_refused_by_name(tmp_path, monkeypatch, other_backends):
    (tmp_path / "partial.py").write_text(
        "from zoo.backend.description import Description\n"
        "from zoo.backend.base import Backend\n"
        "DESCRIPTION = Description('partial', 'Partial', 'partial:Partial', 'numpy')\n"
        "class Partial(Backend):\n"
        "    description = DESCRIPTION\n"
        "    def construct(self, graph, draw, dtype, seed): return None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.register("partial")
    with pytest.raises(
        BackendError, match=r"the backend 'partial' is incomplete: .*assign.*observe"
    ):
        zoo.build("lenet5", "partial")


def test_a_backend_in_a_package_within_a_package_predicts(tmp_path, monkeypatch, other_backends):
    """An entry point with a dot in its value: its models are known by their classes' module."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "__init__.py").write_text("")
    (inner / "__init__.py").write_text(
        BACKEND.format(fault="")
        .replace('"wrong", "Wrong", "wrong:Wrong"', '"dotted", "Dotted", "outer.inner:Wrong"')
        .replace('owners=("wrong",)', 'owners=("outer.inner",)')
    )
    monkeypatch.syspath_prepend(str(EXAMPLES / "numpy_backend"))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.register("outer.inner")
    model = zoo.build("lenet5_modern", "dotted")
    shape = zoo.graph_of(model).input_shape
    import numpy as np

    assert zoo.predict(model, np.zeros((1, *shape), np.float32)).shape == (1, 10)
    with pytest.raises(BackendError, match="dotted backend computes no gradients"):
        registry.of(model).gradients(model, None, None)


def test_registering_a_backend_leaves_the_loaded_ones(tmp_path, monkeypatch, other_backends):
    (tmp_path / "later.py").write_text(
        BACKEND.format(fault="")
        .replace('"wrong", "Wrong", "wrong:Wrong"', '"later", "Later", "later:Wrong"')
        .replace('owners=("wrong",)', 'owners=("later",)')
    )
    monkeypatch.syspath_prepend(str(EXAMPLES / "numpy_backend"))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.register("zoo_numpy")
    loaded = registry.load("numpy")
    registry.register("later")
    assert registry.load("numpy") is loaded
    first = registry.load("later")
    registry.register("later")
    assert registry.load("later") is not first, "registered anew, it is loaded anew"


def test_the_names_of_zoos_own_backends_are_taken(tmp_path, monkeypatch, other_backends):
    (tmp_path / "impostor.py").write_text(
        "from zoo.backend.description import Description\n"
        "DESCRIPTION = Description('torch', 'Impostor', 'impostor:X', 'numpy')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        BackendError, match="the name 'torch' is taken by one of zoo's own backends"
    ):
        registry.register("impostor")
    with pytest.raises(UnknownNameError):
        registry.resolve("impostor")


def test_the_suite_explains_itself():
    done = run("--help", EXAMPLES)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: python -m zoo.testing.conformance PACKAGE\n")
    mistaken = run("--nonsense", EXAMPLES)
    assert (mistaken.returncode, mistaken.stdout) == (2, "")
    assert mistaken.stderr.startswith("error: expected one package. Usage: ")
