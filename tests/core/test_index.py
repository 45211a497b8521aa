"""The index of shipped models is current, and an outdated record is never used."""

import json
import shutil
import subprocess
import sys

import pytest

import zoo
from zoo.language import index, shipped


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Give a copy of the shipped specs that may be changed."""
    specs = tmp_path / "spec"
    shutil.copytree(shipped.folder(), specs)
    monkeypatch.setattr(shipped, "folder", lambda: specs)
    monkeypatch.setattr("zoo.language.catalog.folder", lambda: specs)
    caches = (shipped.shipped,)
    for each in caches:
        each.cache_clear()
    yield specs
    for each in caches:
        each.cache_clear()


def test_every_entry_comes_from_the_index():
    assert list(shipped.records()) == sorted(p.name for p in shipped.folder().glob("*.yaml"))
    assert list(index.entries()) == zoo.list_models()


def test_a_changed_file_is_read_again(copied):
    path = copied / "zfnet.yaml"
    path.write_text(path.read_text().replace("zfnet", "zfnet_other"))
    assert "zfnet.yaml" not in shipped.records()
    assert "zfnet_other" in shipped.shipped()
    assert "zfnet" not in shipped.shipped()


def test_a_file_depends_on_those_it_reads(copied):
    path = copied / "googlenet.yaml"
    path.write_text(path.read_text() + "# changed\n")
    assert "googlenet_published.yaml" not in shipped.records()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 9, "files": {}}', '{"version": 1}'])
def test_a_damaged_index_is_not_used(copied, text):
    (copied / shipped.INDEX).write_text(text)
    assert shipped.records() == {}


def test_listing_imports_neither_yaml_nor_numpy():
    code = (
        "import json, sys, zoo; zoo.list_models(); from zoo.language import index; index.entries();"
        "print(json.dumps([m for m in ('yaml', 'numpy', 'pydantic') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
