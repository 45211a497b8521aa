"""A package that is broken does not keep anyone from using the rest of zoo."""

from __future__ import annotations

import subprocess
import sys

import pytest
from limits import HANG

from zoo.backend import registry
from zoo.errors import BackendError

CODE = """
import zoo
print(zoo.list_backends() is not None, zoo.graph("lenet5").num_parameters)
try:
    zoo.build("lenet5", "broken")
except zoo.BackendError as error:
    print(error)
"""


@pytest.fixture
def broken(tmp_path):
    """Writes a package with an entry point, and returns the folder for the path."""

    def write(group, text):
        (tmp_path / "broken_for_zoo.py").write_text(text)
        info = tmp_path / "broken_for_zoo-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: broken-for-zoo\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[{group}]\nbroken = broken_for_zoo\n")
        return tmp_path

    return write


def run(folder, *command):
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={"PYTHONPATH": ":".join([str(folder), *sys.path]), "PATH": "/usr/bin:/bin"},
    )


DESCRIBED = """
from zoo.backend.base import Backend
from zoo.backend.description import Description

class Raising(Backend):
    description = None

    def __init__(self):
        raise RuntimeError("no")

DESCRIPTION = Description("broken", "Broken", {implementation!r}, {framework!r}, level={level!r})
"""


def described(implementation="broken_for_zoo:Raising", framework="json", level="forward"):
    return DESCRIBED.format(implementation=implementation, framework=framework, level=level)


@pytest.mark.parametrize(
    "text",
    [
        described("broken_for_zoo:Missing"),
        described("broken_for_zoo:DESCRIPTION"),
        described("missing_for_zoo:Backend"),
        described("no colon"),
        described("a:b:c"),
        described(None),
        described(framework=None),
        described(framework=""),
        described(level="all"),
        DESCRIBED.replace("RuntimeError", "TypeError").format(
            implementation="broken_for_zoo:Raising", framework="json", level="forward"
        ),
        described(),
    ],
)
def test_a_backend_that_is_wrong_is_one_error(text, tmp_path, monkeypatch, other_backends):
    (tmp_path / "broken_for_zoo.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_for_zoo", raising=False)
    with pytest.raises(BackendError, match="broken"):
        registry.load(registry.register("broken_for_zoo").name)


@pytest.mark.parametrize(
    "text",
    ["raise RuntimeError('no')", "def", "import nothing_of_that_name", "DESCRIPTION = 1", ""],
)
def test_a_backend_is_refused_when_it_is_used_and_only_then(broken, text):
    done = run(broken("zoo.backends", text), "-c", CODE)
    assert done.returncode == 0, done.stderr
    first, problem = done.stdout.splitlines()
    assert first == "True 60840"
    assert "broken" in problem


def test_an_operation_is_a_warning(broken, spec_file):
    folder = broken("zoo.operations", "raise RuntimeError('no')")
    done = run(folder, "-m", "zoo", "summary", spec_file("a: {op: missing}"))
    assert done.returncode == 2
    warning, error = done.stderr.splitlines()
    assert warning == "warning: the operation 'broken' cannot be loaded: RuntimeError: no"
    assert error.startswith("error: ") and "unknown op 'missing'" in error
