"""Many models: shards, the time they take, and a folder with one set of settings."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

import zoo
from zoo.errors import InputError
from zoo.verification import cost, folder
from zoo.verification.one_model import not_run
from zoo.verification.report import Report

SETTINGS = {"backends": None, "dtype": "float32", "level": "forward", "seed": 0}
STATED = {
    "level": "forward", "dtype": "float32", "seed": 0, "backends": ["torch"],
    "versions": {"zoo": "1", "torch": "2.6"}, "code": "a",
}  # fmt: skip


@pytest.mark.parametrize("level", ["forward", "training"])
def test_shards_are_everything_once_and_take_about_the_same_time(level):
    costs = cost.costs(zoo.list_models(), level, 5)
    parts = [cost.shard(costs, (number, 16)) for number in range(1, 17)]
    assert sorted(model for part in parts for model in part) == sorted(zoo.list_models())
    times = [sum(costs[model] for model in part) for part in parts]
    longest = max(costs.values())
    assert max(times) <= max(1.1 * sum(times) / 16, longest)
    assert parts == cost.shards(dict(costs), 16)  # the same on every machine


def test_an_estimate_narrows_and_follows_what_is_measured():
    costs = {str(number): 10.0 for number in range(20)}
    clock = cost.Clock(costs, lanes=2)
    low, high = clock.left()
    assert low < 100 < high and high / low > 4
    for number in range(10):
        clock.measured(str(number), 30.0)
    low, high = clock.left()
    assert low < 150 < high < 2 * low
    for number in range(10, 20):
        clock.measured(str(number), 30.0)
    assert clock.left() == (0.0, 0.0)


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/x", "-1/4", "1/2/3", "1/999999"])
def test_what_is_no_shard(text):
    assert cost.parsed(text) is None


def test_other_settings_in_a_folder_are_refused_and_named(tmp_path):
    folder.Folder(tmp_path, STATED)
    folder.Folder(tmp_path, STATED)
    versions = {"zoo": "1", "torch": "2.7"}
    for other, message in (
        ({"level": "training"}, r"level 'forward' instead of 'training'"),
        ({"seed": 3, "dtype": "float64"}, r"dtype 'float32' instead of 'float64', seed 0 instead"),
        ({"versions": versions}, r"torch '2\.6' instead of '2\.7'"),
        ({"backends": ["flax"]}, r"backends \['torch'\] instead of \['flax'\]"),
    ):
        with pytest.raises(InputError, match=message):
            folder.Folder(tmp_path, {**STATED, **other})
    (tmp_path / "settings.json").write_text("[1")
    with pytest.raises(InputError, match="does not say which settings"):
        folder.Folder(tmp_path, STATED)


def test_reports_of_other_code_are_not_mixed_in(tmp_path):
    first = folder.Folder(tmp_path, STATED)
    report = not_run("lenet5", SETTINGS, "too little memory")
    assert first.keep(report, 2.0) == ""
    first.write_index(["lenet5", "vgg16"], "zoo verify --all")
    page = (tmp_path / "index.html").read_text()
    assert "not verified: too little memory" in page and "zoo verify lenet5" in page
    assert "1 more model is not verified yet" in page
    later = folder.Folder(tmp_path, {**STATED, "code": "b"})
    later.write_index(["lenet5", "vgg16"], "zoo verify --all")
    assert "2 more models are not verified yet" in (tmp_path / "index.html").read_text()


def test_a_full_disk_loses_nothing_that_is_finished(tmp_path, monkeypatch):
    target = folder.Folder(tmp_path, STATED)
    write, full = folder.write_text, True

    def limited(path, text):
        if full:
            raise InputError(f"{path}: cannot be written: No space left on device")
        write(path, text)

    monkeypatch.setattr(folder, "write_text", limited)
    assert "No space left" in target.keep(not_run("lenet5", SETTINGS, "a"), 1.0)
    with pytest.raises(InputError, match="No space left"):
        target.flush()
    full = False
    assert target.keep(not_run("vgg16", SETTINGS, "b"), 1.0) == ""
    assert (tmp_path / "lenet5.json").exists() and (tmp_path / "vgg16.json").exists()


def test_errors_that_are_not_finite_come_back_from_json():
    report = replace(not_run("lenet5", SETTINGS, "a"), tolerance=math.inf)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["tolerance"] is None
    assert Report.from_dict(data).tolerance == math.inf
