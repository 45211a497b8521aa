"""The lessons run, print what they did when their text was written, and refuse wrong answers."""

import json
import subprocess
import sys

import pytest
from course import FOLDER, LESSONS, NAMES, lesson
from limits import HANG
from loading import load
from wrong_answers import WRONG


@pytest.fixture
def frameworks(tmp_path, monkeypatch):
    """All four, in a folder that lessons may write to; their settings are as before afterwards."""
    for name in ("torch", "paddle", "keras", "flax"):
        load(name, double=True)
    import matplotlib
    import numpy as np
    from matplotlib import pyplot

    pyplot.switch_backend("Agg")

    def show():
        pyplot.gcf().canvas.draw()
        pyplot.close("all")

    monkeypatch.setattr(pyplot, "show", show)
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context(), np.printoptions():
        yield


# Paddle's own, in every step of a batch norm.
@pytest.mark.filterwarnings("ignore:When training, we now always track global mean:UserWarning")
@pytest.mark.parametrize("page", LESSONS, ids=NAMES)
def test_a_lesson_prints_what_it_did_and_refuses_a_wrong_answer(page, frameworks):
    names = {}
    assert lesson.differences(page.run(names), page.recorded) == []
    answer, words = WRONG[page.name]
    with pytest.raises(AssertionError, match=words):
        exec(answer, names)


@pytest.mark.slow
def test_lessons_run_as_notebooks(tmp_path):
    """In one process, as the site shows them, and as readers download them."""
    command = [sys.executable, str(FOLDER / "run.py"), "--output", str(tmp_path), "--downloads"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        shown = json.loads((tmp_path / f"{name}.ipynb").read_text("utf-8"))
        assert any("image/svg+xml" in data for data in outputs(shown))
        downloaded = json.loads((tmp_path / "download" / f"{name}.ipynb").read_text("utf-8"))
        assert not outputs(downloaded)
        code = [cell for cell in downloaded["cells"] if cell["cell_type"] == "code"]
        assert "".join(code[0]["source"]) == "%pip install -q 'polyzoo[all]'"


def outputs(notebook) -> list[dict]:
    """What the cells of a notebook display, by media type."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return [out.get("data", {}) for cell in cells for out in cell["outputs"]]
