"""The studies in docs: their run files are of today's networks, and say what was measured."""

from pathlib import Path

import pytest

import zoo
from zoo.comparing import plan, record

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "docs" / "studies").rglob("*.json"))

FASHION = ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker"]
CLASSES = {
    "digits": [str(digit) for digit in range(10)],
    "fashion-mnist": [*FASHION, "bag", "ankle boot"],
}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_can_be_repeated_with_todays_networks(path, monkeypatch):
    monkeypatch.chdir(ROOT)  # where their networks' files are named from
    recorded = record.read(path)
    study = record.study_of(recorded)
    for model, data in zip(study.models, study.data, strict=True):
        graph = zoo.graph(model, classes=CLASSES[data])
        assert recorded["networks"][graph.name] == plan.digest(graph.to_dict())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_results_are_those_of_their_digests(path):
    for run in record.read(path)["runs"].values():
        for name in ("top1", "loss"):
            assert run["digests"][name] == plan.digest(run[name])
