"""The index of models says what the specs say, and is not used when they have changed."""

import zoo
from zoo.api import index
from zoo.language import catalogue


def test_the_index_is_current():
    text = (index.folder() / "models.json").read_text("utf-8")
    assert text == index.generate(), "run python -m zoo.api.index"
    assert list(index.read()) == list(catalogue.shipped()) == zoo.list_models()


def test_an_index_of_other_specs_is_not_used(monkeypatch):
    monkeypatch.setattr(index, "specs_hash", lambda: "other")
    assert index.read() is None
    assert zoo.list_models() == list(catalogue.shipped())


def test_a_damaged_or_missing_index_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setattr(index, "folder", lambda: tmp_path)
    assert index.read() is None
    (tmp_path / "models.json").write_text('{"specs": "4')
    assert index.read() is None
