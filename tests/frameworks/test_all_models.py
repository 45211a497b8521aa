"""Many models, one after another, which resume after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from browsing import cells, opened
from limits import HANG
from verifying import InThisProcess

import zoo
from zoo.errors import InputError
from zoo.verification import all_models, memory, tolerances


@pytest.fixture
def here(monkeypatch):
    """No other process, whose imports take far longer than a small model."""
    monkeypatch.setattr(all_models, "Workers", InThisProcess)


def test_many_models_resume_after_an_interruption(here, browser, tmp_path):
    models = ["lenet5", "lenet5_paddle"]
    told = []
    options = {"backends": ["torch"], "progress": told.append}
    first = all_models.verify_all(models, tmp_path, **options)
    report, known = next(first)
    first.close()  # as a user's Ctrl-C does
    assert (report.model, report.passed, known) == ("lenet5", True, False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "index.html",
        "lenet5.html",
        "lenet5.json",
        "settings.json",
    ]
    found = list(all_models.verify_all(models, tmp_path, **options))
    assert [(r.model, known) for r, known in found] == [("lenet5", True), ("lenet5_paddle", False)]
    assert found[0][0].to_dict() == report.to_dict()
    opened(browser, tmp_path / "index.html")
    assert browser.title == "2 of 2 models pass"
    assert [row[0] for row in cells(browser, "models")] == models
    browser.find_element("link text", "lenet5_paddle").click()
    assert browser.title == "lenet5_paddle: PASS"
    # A damaged file is no reason to trust what was found.
    (tmp_path / "lenet5.json").write_text('{"key": 1, ')
    again = all_models.verify_all(models, tmp_path, **options)
    assert [(r.model, known) for r, known in again] == [("lenet5_paddle", True), ("lenet5", False)]
    with pytest.raises(InputError, match=r"other settings \(seed 0 instead of 1\)"):
        next(all_models.verify_all(["lenet5"], tmp_path, **{**options, "seed": 1}))


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupt_is_one_line(tmp_path):
    # Five small networks, then ResNets of 50 layers: far more than is done before the signal comes.
    command = [sys.executable, "-m", "zoo", "verify", "--all", "*net5*", "--backends", "torch"]
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
    assert (tmp_path / "lenet5.json").exists()


def test_what_failed_is_verified_again(here, monkeypatch, tmp_path):
    options = {"backends": ["torch"]}
    with monkeypatch.context() as strict:
        strict.setitem(tolerances.FORWARD, "float32", 1e-12)
        strict.setattr("zoo.verification.case.rounding", lambda *arguments: 0.0)
        ((report, _),) = all_models.verify_all(["lenet5"], tmp_path, **options)
    assert not report.passed
    ((report, known),) = all_models.verify_all(["lenet5"], tmp_path, **options)
    assert (report.passed, known) == (True, False)


def test_too_little_memory_is_a_row_and_not_the_end(here, monkeypatch, browser, tmp_path):
    options = {"backends": ["torch"], "dtype": "float64"}
    # lenet5 takes some kilobytes; 60 million parameters of 8 bytes are more than there is.
    with monkeypatch.context() as limited:
        limited.setattr(memory, "available", lambda: 300_000_000)
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
        (["vgg9", "--output", "x.txt"], "--output: expected a name that ends in .json or .html"),
        (["--all", "--aux"], "--aux is for one model"),
        (["lenet5", "--jobs", "2"], "--jobs is for several models"),
        (["--all", "--shard", "17/16"], "--shard: expected a part such as 3/16, got '17/16'"),
        (["--all", "nothing*"], "no model matches 'nothing*'"),
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
