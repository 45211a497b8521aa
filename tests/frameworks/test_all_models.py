"""Many models, one after another, which resume after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from browsing import cells, opened
from limits import HANG

import zoo
from zoo.verification import all_models, memory, tolerances


@pytest.fixture
def small_models(monkeypatch):
    """Two of the zoo's own, small."""
    right = all_models.verify

    def small(model, **options):
        return right(model, **options, input_size=32, num_classes=5)

    monkeypatch.setattr(all_models, "verify", small)
    return ["vgg9", "vgg9_bn"]


def test_many_models_resume_after_an_interruption(small_models, browser, tmp_path):
    told = []
    options = {"backends": ["torch"], "progress": told.append}
    first = all_models.verify_all(small_models, tmp_path, **options)
    report, known = next(first)
    first.close()  # as a user's Ctrl-C does
    assert (report.model, report.passed, known) == ("vgg9", True, False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.html", "vgg9.html", "vgg9.json"]
    found = list(all_models.verify_all(small_models, tmp_path, **options))
    assert [(r.model, known) for r, known in found] == [("vgg9", True), ("vgg9_bn", False)]
    assert found[0][0].to_dict() == report.to_dict()
    opened(browser, tmp_path / "index.html")
    assert browser.title == "2 of 2 models pass"
    assert [row[0] for row in cells(browser, "models")] == small_models
    browser.find_element("link text", "vgg9_bn").click()
    assert browser.title == "vgg9_bn: PASS"
    # Another level or a damaged file is no reason to trust what was found.
    (tmp_path / "vgg9.json").write_text('{"key": 1, ')
    again = all_models.verify_all(small_models, tmp_path, **options)
    assert [(r.model, known) for r, known in again] == [("vgg9", False), ("vgg9_bn", True)]
    other = all_models.verify_all(["vgg9"], tmp_path, **{**options, "seed": 1})
    assert [known for _, known in other] == [False]


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupt_is_one_line(tmp_path):
    command = [sys.executable, "-m", "zoo", "verify", "--all", "vgg9*", "--backends", "torch"]
    running = subprocess.Popen(
        [*command, "--output", str(tmp_path)], stderr=subprocess.PIPE, text=True,
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert running.stdout
    running.stdout.readline()  # the first is done
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    _, errors = running.communicate(timeout=HANG)
    assert running.returncode == 130
    assert errors.splitlines()[-1] == "interrupted; run the same command to resume"
    assert (tmp_path / "vgg9.json").exists()


def test_what_failed_is_verified_again(small_models, monkeypatch, tmp_path):
    options = {"backends": ["torch"]}
    monkeypatch.setitem(tolerances.FORWARD, "float32", 1e-12)
    monkeypatch.setattr("zoo.verification.case.rounding", lambda *arguments: 0.0)
    ((report, _),) = all_models.verify_all(["vgg9"], tmp_path, **options)
    assert not report.passed
    monkeypatch.undo()
    monkeypatch.setattr(
        all_models, "verify", lambda model, **o: zoo.verify(model, **o, input_size=32)
    )
    ((report, known),) = all_models.verify_all(["vgg9"], tmp_path, **options)
    assert (report.passed, known) == (True, False)


def test_too_little_memory_is_a_row_and_not_the_end(monkeypatch, browser, tmp_path):
    monkeypatch.setattr(memory, "available", lambda: 300_000_000)
    options = {"backends": ["torch"], "dtype": "float64"}
    # lenet5 takes some kilobytes; 60 million parameters of 8 bytes are more than there is.
    small, large = all_models.verify_all(["lenet5", "alexnet"], tmp_path, **options)
    assert small[0].passed and not large[0].passed
    (problem,) = large[0].problems
    assert problem.startswith("alexnet: verification needs about ")
    assert "GiB is available" in problem and problem in str(large[0])
    opened(browser, tmp_path / "alexnet.html")
    assert browser.title == "alexnet: FAIL"
    assert problem in browser.find_element("css selector", "body").text
    opened(browser, tmp_path / "index.html")
    assert browser.title == "1 of 2 models pass"
    monkeypatch.undo()
    ((report, known),) = all_models.verify_all(["lenet5"], tmp_path, **options)
    assert (report.passed, known) == (True, True)


def test_a_float32_weight_is_half_as_large():
    graph = zoo.graph("vgg16")
    single, double = memory.needed(graph, 4), memory.needed(graph, 8)
    assert double - single == 4 * 4 * graph.num_parameters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which model?"),
        (["vgg9", "--output", "x.txt"], "--output: expected a name in .json or .html"),
        (["--all", "--aux"], "--aux is for one model"),
        (["--all", "nothing*"], "no model that zoo ships matches 'nothing*'"),
        (["--all", "--output", "file"], "cannot be created"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message, tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "verify", *arguments],
        capture_output=True, text=True, timeout=HANG, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
