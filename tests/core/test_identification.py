"""Which network a file is of: found by names, without building graphs that cannot be it."""

from __future__ import annotations

import hashlib

import pytest
from identifying import arrays_of, identify
from identifying import without_index as without_index

from zoo.errors import WeightsError
from zoo.weights import counts, disambiguation, identification, slots, sources
from zoo.weights.checkpoint import Stored


@pytest.fixture
def built(monkeypatch):
    """The sources and networks whose slots are made from here on."""
    names = []
    original = slots.slots_of

    def slots_of(table, network, heads=()):
        names.append((table.name, network.name))
        return original(table, network, heads)

    monkeypatch.setattr(slots, "slots_of", slots_of)
    slots.published_slots.cache_clear()
    return names


@pytest.mark.parametrize(
    ("network", "alike"),
    [
        ("vgg16", {"vgg16"}),
        ("efficientnet_b4", {"efficientnet_b4"}),
        ("resnet50", {"resnet50", "resnext50_32x4d", "wide_resnet50_2"}),
    ],
)
def test_only_graphs_of_the_same_number_of_arrays_are_built(network, alike, built):
    arrays = arrays_of("torchvision", network)
    slots.published_slots.cache_clear()
    built.clear()
    matches = identify("pth", arrays)
    assert matches[0][1] == network
    assert {name for _, name in built} == alike
    assert len(set(built)) == len(built), "slots were made twice"
    identify("pth", arrays)
    assert len(set(built)) == len(built), "slots were made again"


@pytest.mark.parametrize("network", ["resnet18", "wide_resnet50_2", "mobilenet_v3_large"])
def test_parameters_without_statistics_are_known(network):
    """As PyTorch's ``named_parameters()`` gives them."""
    arrays = arrays_of("torchvision", network)
    tables, statistics = [sources.source("torchvision")], ("running_mean", "running_var")
    parameters = {n: a for n, a in arrays.items() if not n.endswith(statistics)}
    found = identification.without_statistics(tables, [identification.View(parameters)])
    assert found and found[1] == network
    one = next(name for name in arrays if name.endswith(statistics))
    for others in (arrays, {**parameters, one: arrays[one]}, dict(list(parameters.items())[1:])):
        assert not identification.without_statistics(tables, [identification.View(others)])


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("suffix", ["pth", "safetensors", "h5", "pdparams"])
def test_unknown_names_are_refused_without_graphs(suffix, index, built, request):
    if not index:
        request.getfixturevalue("without_index")
    names = {f"encoder.{i}.weight": Stored((3,), "float32", pytest.fail) for i in range(20_000)}
    assert identify(suffix, names) == []
    may_start_with_anything = {
        (table.name, network)
        for table in sources.sources().values()
        for network in table.networks
        if any(each.startswith("*") for names in table.names(network).values() for each in names)
    }
    assert set(built) <= (set() if index else may_start_with_anything)
    assert len(built) <= len(may_start_with_anything)  # each once


def test_one_strange_name_is_enough(built, without_index):
    arrays = arrays_of("torchvision", "resnet50")
    arrays["head.weight"] = arrays.pop("fc.weight")
    built.clear()
    assert identify("pth", arrays) == []
    assert built == []
    arrays["fc.weight"] = arrays.pop("head.weight")
    arrays["a." * 1_000_000] = arrays.pop("fc.bias")
    assert identify("pth", arrays) == []
    assert built == []


def test_a_missing_array_is_enough(built):
    arrays = arrays_of("torchvision", "resnet50")
    del arrays["fc.bias"]
    built.clear()
    assert identify("pth", arrays) == []
    assert built == []


def test_an_index_that_is_out_of_date_is_not_used(tmp_path, monkeypatch, without_index):
    wrong = tmp_path / "counts.json"
    wrong.write_text(counts.path().read_text().replace(", 32, 32, ", ", 33, 33, "))
    monkeypatch.setattr(counts, "path", lambda: wrong)
    assert counts.allow("torchvision", "vgg16", 32)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"specs": 3}', "\0", '{"counts": [[1]]}'])
def test_a_damaged_index_is_not_used(text, tmp_path, monkeypatch, without_index):
    monkeypatch.setattr(counts, "path", lambda: tmp_path / "counts.json")
    assert counts.allow("torchvision", "vgg16", 1)
    (tmp_path / "counts.json").write_text(text.replace("3", f'"{counts.specs_hash()}"'))
    assert counts.allow("torchvision", "vgg16", 1)


def test_the_hash_depends_on_every_file(tmp_path, monkeypatch):
    before = counts.specs_hash()
    specs = counts.shipped.folder()
    for each in (specs, specs / "sources"):
        target = tmp_path / ("sources" if each != specs else ".")
        target.mkdir(exist_ok=True)
        for file in each.glob("*.yaml"):
            (target / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(counts.shipped, "folder", lambda: tmp_path)
    assert counts.specs_hash() == before
    for name in ("vgg.yaml", "sources/timm.yaml"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content + b"\n")
        assert counts.specs_hash() != before
        (tmp_path / name).write_bytes(content)
    (tmp_path / "new.yaml").touch()
    assert counts.specs_hash() != before


def test_networks_that_differ_in_no_array_are_told_apart_by_hash_or_not_at_all(
    tmp_path, monkeypatch
):
    path = tmp_path / "file.pdparams"
    path.write_bytes(b"content")
    stored = arrays_of("paddle", "shufflenet_v2_swish")
    found = identification.best(identify("pdparams", stored), stored)
    assert [network for _, network in found] == ["shufflenet_v2_x1_0", "shufflenet_v2_swish"]
    with pytest.raises(WeightsError, match=r"of shufflenet_v2_x1_0 and of shufflenet_v2_swish"):
        disambiguation.network_of(path, found)
    table = sources.source("paddle")
    digest = hashlib.md5(b"content").hexdigest()
    file = sources.File(url="https://nowhere.invalid/w.pdparams", md5=digest)
    swish = table.networks["shufflenet_v2_swish"].model_copy(update={"file": file})
    monkeypatch.setitem(table.networks, "shufflenet_v2_swish", swish)
    assert disambiguation.network_of(path, found) == ("shufflenet_v2_swish", "")
