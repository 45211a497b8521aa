"""A benchmark: its rounds, its figures, and the files that it is kept in."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import zoo
from zoo.benchmarking import statistics
from zoo.benchmarking.against import compare, remarks
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.request import Request
from zoo.benchmarking.results import Results, Round
from zoo.benchmarking.run import run
from zoo.errors import InputError
from zoo.views.benchmark.report import Benchmark

CELL = Cell("toy", "torch", "eager", "cpu", "float32", 2, "forward")


# Statistics


def test_an_interval_covers_the_median_as_often_as_it_says():
    """With few processes, which differ more than the times within them."""
    random = np.random.default_rng(0)
    for count in (5, 10):
        covered = 0
        for _ in range(60):
            centers = 0.1 * random.standard_normal(count)
            rounds = {
                i: np.exp(c + 0.02 * random.standard_normal(8)) for i, c in enumerate(centers)
            }
            figure = statistics.summarize(rounds)
            covered += figure.low <= 1 <= figure.high
        assert covered >= 56  # 57 are expected of 95%


def test_a_ratio_is_paired_so_that_drift_falls_on_both():
    drift = {i: 2.0**i for i in range(6)}
    a = {i: [1.1 * d, 1.11 * d, 1.09 * d] for i, d in drift.items()}
    b = {i: [d, 1.01 * d, 0.99 * d] for i, d in drift.items()}
    ratio = statistics.ratio(a, b)
    assert ratio.value == pytest.approx(1.1, rel=0.01) and 1 < ratio.low < ratio.high < 1.2
    assert statistics.summarize(a).width > 1
    assert statistics.ratio(a, {9: [1.0]}) is None


def test_one_process_has_no_interval():
    figure = statistics.summarize({1: [1.0, 2.0, 3.0]})
    assert (figure.value, figure.low, figure.high) == (pytest.approx(2), None, None)
    assert figure.width == float("inf")


# Rounds


def fake(times, problems=()):
    """What measures without a process."""
    made = []

    def measure(cell, folder, number):
        made.append((number, cell))
        noise = np.random.default_rng(len(made)).normal(0, 0.01, 5)
        base = times[cell.mode]
        return Round(number, tuple(base * np.exp(noise)), problems=tuple(problems))

    return measure, made


def request(**changes):
    both = [replace(CELL, mode=mode) for mode in ("eager", "torch.compile")]
    return Request({"toy": zoo.graph("lenet5")}, both, **changes)


def test_rounds_are_in_random_order_which_is_recorded():
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0})
    found = run(request(rounds=8, seed=3), measure=measure)
    assert [r for r, _ in found.order] == sorted(r for r, _ in found.order)
    assert [found.cells[i].cell for _, i in found.order] == [cell for _, cell in made]
    firsts = dict(reversed(found.order))
    assert set(firsts.values()) == {0, 1}  # each of the two is first in some round
    again = run(request(rounds=8, seed=3), measure=fake({"eager": 2, "torch.compile": 1})[0])
    assert again.order == found.order
    assert found.ratio(found.cells[1]).value == pytest.approx(0.5, rel=0.05)
    assert found.ratio(found.cells[0]).value == 1


def test_a_cell_that_fails_is_not_run_again():
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0}, ["results differ"])
    found = run(request(), measure=measure)
    assert len(made) == 2 and not found.passed
    assert found.cells[0].time is None and found.ratio(found.cells[1]) is None
    assert "FAIL" in str(Benchmark.of(found)) and "results differ" in str(Benchmark.of(found))


def test_it_goes_on_until_intervals_are_narrow_or_the_budget_is_spent():
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0})
    found = run(request(rounds=2, until=0.01), measure=measure)
    assert all(m.time.width <= 0.01 for m in found.cells) and len(made) > 4
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0})
    found = run(request(budget=0.0), measure=measure)
    assert not made and any("budget" in note for note in found.notes)


def test_ctrl_c_and_a_full_disk_lose_nothing_that_is_finished():
    measure, _ = fake({"eager": 2.0, "torch.compile": 1.0})
    kept = []

    def interrupted(cell, folder, number):
        if number == 3:
            raise KeyboardInterrupt
        return measure(cell, folder, number)

    def keep(results):
        kept.append(results)
        raise InputError("bench.json: cannot be written: No space left on device")

    found = run(request(), measure=interrupted, keep=keep)
    assert found.interrupted and len(found.cells[0].rounds) == 2 and len(kept) == 2
    assert found.cells[0].time.rounds == 2
    assert sum("No space" in note for note in found.notes) == 1


# Files


@pytest.fixture(scope="module")
def benchmark():
    measure, _ = fake({"eager": 2.0, "torch.compile": 1.0})
    return Benchmark.of(run(request(), measure=measure, command="zoo bench toy"))


def test_json_comes_back(benchmark, tmp_path):
    file = tmp_path / "bench.json"
    file.write_text(benchmark.to_json())
    assert Benchmark.read(file) == benchmark
    assert json.loads(file.read_text())["summary"][0]["seconds"]["value"] == pytest.approx(2, 0.05)
    lines = benchmark.to_csv().splitlines()
    assert len(lines) == 3 and lines[0].startswith("model,backend,mode")


def test_figures_that_cannot_be_written_go_elsewhere(benchmark, tmp_path, capsys, monkeypatch):
    from zoo.cli import bench

    monkeypatch.setattr(bench.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    there, gone = tmp_path / "bench.csv", tmp_path / "gone" / "bench.html"
    with pytest.raises(InputError, match="cannot be written"):
        bench._write(benchmark, (gone, there), None, lambda: "page")
    assert there.exists() and Results.read(tmp_path / "bench.json").cells == benchmark.cells
    assert "bench.json" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize("output", ["bench.json", "bench.html"])
def test_the_earlier_benchmark_is_not_overwritten(output, benchmark, tmp_path):
    """Not by the JSON file that stands beside the page, either."""
    from click.testing import CliRunner

    from zoo.cli.bench import bench

    old = tmp_path / "bench.json"
    old.write_text(benchmark.to_json())
    options = ["lenet5", "--against", str(old), "--output", str(tmp_path / output)]
    error = CliRunner().invoke(bench, options).exception
    assert isinstance(error, InputError) and "bench.json: this is the file to read" in str(error)
    assert old.read_text() == benchmark.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(zoo_bench=99), "format 99"),
        (lambda data: data.pop("zoo_bench"), "no results of zoo bench"),
        (lambda data: data["cells"][0].update(cell=3), "damaged: cells.0.cell"),
        (lambda data: data["cells"][0]["rounds"][0].update(times="fast"), "damaged"),
        (lambda data: data.update(cells=None), "damaged: cells"),
    ],
)
def test_damaged_json_is_refused(benchmark, tmp_path, change, message):
    data = benchmark.to_dict()
    data = json.loads(json.dumps(data))
    change(data)
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        Results.read(file)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "3", "\x00"])
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "bench.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bench\.json"):
        Results.read(file)
    with pytest.raises(InputError, match="cannot be read"):
        Results.read(tmp_path / "none.json")


def test_changes_over_time_are_named(benchmark):
    measure, _ = fake({"eager": 2.4, "torch.compile": 1.0})
    new = run(request(threads=2), measure=measure)
    slower, same = compare(new, benchmark)
    assert (slower.verdict, same.verdict) == ("slower", "not distinguishable")
    assert slower.ratio.value == pytest.approx(1.2, rel=0.05)
    assert "threads: 2, before 1" in remarks(new, benchmark)
    with pytest.raises(InputError, match="no cell in common"):
        compare(Results(()), benchmark)


def test_a_page_stands_alone_and_its_policy_allows_its_script_alone(benchmark):
    page = benchmark.to_html(compare(benchmark, benchmark), ["threads: 2, before 1"])
    assert not re.search(r"(?:src|href)=.?\w+:|url\((?!#)|@import", page)
    assert "script-src 'sha256-" in page and page.count("<script>") == 1
    assert "not readable" in page  # energy, which is never 0
    assert "zoo bench toy" in page and page.count("<svg") >= 1
