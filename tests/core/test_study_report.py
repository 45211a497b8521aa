"""The report of a study: what it says, and that it says no more than the runs allow."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace

import pytest
from browsing import chromium, opened
from reported import SETTINGS
from reported import small as small
from reported import study as study
from rich.console import Console
from studying import seeded, simulated

from zoo.errors import InputError
from zoo.training.recipe import Recipe
from zoo.views.study import terminal, words
from zoo.views.study.report import Study


@pytest.fixture(scope="module")
def browser():
    yield from chromium()


def test_the_answers(study):
    text = " ".join(study.text().split())
    assert "Native PyTorch and Keras 3 runs differ by 0.0" in text
    assert "PyTorch being higher. Aligned runs do not: they are equivalent within ±0.01" in text
    assert "The largest contributor is bn momentum: +0.0" in text
    assert "Native PyTorch and PaddlePaddle runs are equivalent in top-1 within ±0.01" in text
    assert "of PaddlePaddle: 1 at chance level and 1 stopped without a result" in text
    assert "With 4 seeds, the sign-flip test cannot give a p below 0.125" in text


def test_an_interval_that_holds_zero_is_no_difference(study):
    for d in study.differences:
        said = words.answer(d, None)
        if d.figure and d.figure.low <= 0 <= d.figure.high:
            assert "differ by" not in said
        if d.margin is None or d.figure.high > d.margin or d.figure.low < -d.margin:
            assert "equivalent within" not in said.replace("nor to be equivalent within", "")


def test_few_seeds_say_what_they_cannot(small):
    text = " ".join(small.text().split())
    assert "With 3 seeds, the sign-flip test cannot give a p below 0.250; so it cannot" in text
    assert "3 values enclose the true mean at most 75% of the time" in text
    assert "equivalent" not in text and "Native" not in text and "switch" not in text
    two = Study({}, [run for run in small.runs if run.condition.weights_seed < 2])
    assert "Fewer than three seeds give no interval and no test" in " ".join(two.text().split())


def test_equal_runs_are_said_to_be_equal(small):
    runs = [replace(run, top1=0.9 + run.condition.weights_seed / 100) for run in small.runs]
    study = Study({"margin": 0.01}, runs)
    text = " ".join(study.text().split())
    assert "none differs in top-1 and 1 is the same in all runs" in text
    assert "Aligned PyTorch and Keras 3 runs have the same top-1 with each of 3 seeds." in text
    assert "equivalent" not in text


def test_the_methods_are_what_was_done(study, small):
    """And what was not done is not in them."""
    whole = study.methods
    for part in (
        "resnet20 on fashion-mnist in PyTorch, PaddlePaddle and Keras 3: 120 runs",
        "6 seeds, each for the initial weights and the order",
        "optimizer adam, lr 0.05, epochs 3 (40 steps)",
        "its own default of initialization, bn momentum, bn epsilon and adam epsilon",
        "but for 36 runs",
        "resolution IV",
        "BCa",
        "a margin of ±0.01 in top-1",
        "1 at chance level (binomial, p ≥ 0.01) and 1 that stopped without a result are counted",
        "a processor, with 1 thread each",
    ):
        assert part in whole, part
    for absent in ("nesterov", "crossed seeds", "Monte Carlo", "hashes"):
        assert absent not in whole
    for absent in (
        "TOST",
        "native",
        "switches",
        "BCa",
        "chance",
        "recipe",
        "Versions: ,",
        "margin",
    ):
        assert absent not in small.methods.replace("value of every switch", ""), absent
    assert "Student" in small.methods


def test_batches_are_said_to_be_equal_only_if_they_are(small):
    same = [replace(run, digests=(f"{run.condition.order_seed}",)) for run in small.runs]
    text = "the hashes of their first batches were equal"
    assert text in Study({}, same).methods
    assert text not in Study({}, [replace(same[0], digests=("x",)), *same[1:]]).methods
    assert text not in Study({}, [run for run in same if run.backend == "torch"]).methods


def test_a_study_of_crossed_seeds():
    runs = simulated(seeded(3), values={}, design=[frozenset()], seeds=5, crossed=True, classes=2)
    crossed = Study({}, runs)
    assert "5 seeds of initial weights and 5 seeds of the order" in crossed.methods
    assert "(initial weights, order of the data and framework)" in crossed.methods
    assert "initial weights × order of data" in crossed.text()


def test_wrong_arguments_are_refused(small, tmp_path):
    for wrong in ([], None, [1]):
        with pytest.raises(InputError, match="at least one run"):
            Study({}, wrong or ())
    with pytest.raises(InputError, match="plain data"):
        Study({"margin": object()}, small.runs)
    for name in ("study.pdf", "study", "effects.csv"):
        with pytest.raises(InputError, match="path"):
            small.write(tmp_path / name)
    with pytest.raises(InputError, match="cannot be written"):
        small.write(tmp_path / "missing" / "study.json")


def test_settings_may_be_an_object(small):
    @dataclass
    class Settings:
        models: list = field(default_factory=lambda: ["lenet5"])
        switches: frozenset = frozenset({"b", "a"})

    class Named:
        def __init__(self):
            self.name, self._hidden = "a study", object()

    recipe = Recipe.read({"model": "lenet5", "data": "digits", "epochs": 2, "lr": 0.1})
    assert Study(Settings(), small.runs).study == {"models": ["lenet5"], "switches": ["a", "b"]}
    assert Study(Named(), small.runs).study == {"name": "a study"}
    assert "sgd, lr 0.1, epochs 2, batch size 64" in Study(recipe, small.runs).methods


def test_the_tables_of_a_terminal_break_no_word(study):
    console = Console(width=80, color_system=None)
    with console.capture() as shown:
        console.print(terminal.render(study))
    lines = shown.get().splitlines()
    assert any(line.split()[:3] == ["torch", "−", "keras"] for line in lines)
    for word in ("initialization", "distinguishable", "+0.030 to +0.032", "paddle − keras"):
        assert any(f" {word} " in f" {line} " for line in lines), word
    assert not any(line.split()[-1:] == ["to"] for line in lines if "  " in line.strip())


def test_the_page(study, browser, tmp_path):
    """It asks for nothing, fits a phone, is sorted by a click, and says what the text says."""
    written = study.write(tmp_path / "study.html")
    page = written[-1]
    figures = sorted(path.name.partition("-")[0] for path in written[:-1])
    assert set(figures) == {"differences", "shares", "curves", "variance", "classes"}
    assert all(path.read_text().startswith("<svg") for path in written[:-1])
    opened(browser, page)
    assert browser.title == "Study: resnet20 on fashion-mnist"
    body = browser.find_element("css selector", "body").text
    assert "zoo compare <resnet20>" in body and "the loss of step 7 is <nan>" in body
    assert study.methods in body and "@software{polyzoo" in body
    assert "Native PyTorch and Keras 3 runs differ by" in body
    assert browser.find_element("id", "differences").is_displayed()
    heading = browser.find_element("css selector", "#differences thead th:nth-child(4) button")
    heading.click()
    column = "#differences tbody td:nth-child(4)"
    values = [
        float(cell.get_attribute("data-value"))
        for cell in browser.find_elements("css selector", column)
        if cell.get_attribute("data-value")
    ]
    assert len(values) == len(study.differences) and values == sorted(values)
    for width in (1400, 360):
        opened(browser, page, width)
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(wide) <= 0  # only tables scroll sideways


def test_a_figure_follows_the_mode_of_its_reader(study, browser, tmp_path):
    figure, *_ = study.write(tmp_path / "study.html")
    browser.get(figure.as_uri())
    color = "return getComputedStyle(document.documentElement).color"
    found = {}
    for mode in ("light", "dark", ""):
        features = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        found[mode] = browser.execute_script(color)
    assert found["light"] == found[""] == "rgb(27, 31, 36)"
    assert found["dark"] == "rgb(228, 232, 236)"


def test_the_page_of_a_grid_has_its_points(tmp_path):
    grid = tuple({"lr": lr, "eps": eps} for lr in (0.1, 0.01) for eps in (1e-3, 1e-7))
    runs = simulated(
        seeded(2), values={}, design=[frozenset()], backends=("torch", "keras"), seeds=3, grid=grid
    )
    study = Study({"models": ["resnet20"], "lr": None, "margin": {"top1": 0.01, "loss": 0.1}}, runs)
    assert "We varied lr from 0.1 and 0.01 and eps from 0.001 and 1e-07" in study.methods
    assert "a margin of ±0.01 in top-1 and ±0.1 in loss" in study.methods
    page = study.to_html()
    whole, points = (
        re.search(rf'<table id="{name}".*?</table>', page, re.S)[0]
        for name in ("differences", "points")
    )
    assert whole.count("all, mean") == 2 and points.count("eps 0.001") == 4
    assert "mean over the grid" in page and "points-resnet20-fashion-mnist-top1" in study.figures


def test_a_shared_run_counts_once(study):
    """PyTorch's own momentum is the aligned one, so that some conditions are the same run."""
    first = study.runs[0]
    condition = replace(first.condition, native=frozenset({"bn_momentum"}))
    again = Study(SETTINGS, [*study.runs, replace(first, condition=condition)])
    assert first.backend == "torch" and len(again.runs) == len(study.runs) + 1
    assert again.methods == study.methods and again.to_csv() == study.to_csv()
    assert again.differences == study.differences


def test_the_proof_is_told(small):
    proofs = [
        {"model": "m", "steps": 10, "error": 3e-13},
        {"model": "n", "steps": 10, "error": 1e-14},
    ]
    text = "differed by at most 3.0e-13, relative to the largest, in the first 10 steps"
    assert text in Study({"proofs": proofs}, small.runs).methods
    assert "float64" not in Study({"proofs": []}, small.runs).methods


def test_names_from_files_are_escaped(small):
    runs = [
        replace(run, condition=replace(run.condition, model="<b>$x_$</b>"), losses=())
        for run in small.runs
    ]
    page = Study({"name": "<script>alert(1)</script>"}, runs).to_html()
    assert "<script>alert" not in page and "<b>" not in page.partition("<body")[2]
    assert re.search(r"<text[^>]*>&lt;b&gt;\$x_\$&lt;/b&gt;", page)


def test_frozen_results_are_plain(study):
    json.dumps([asdict(d) for d in study.variance])
    assert all(isinstance(d.figure.mean, float) for d in study.differences if d.figure)
