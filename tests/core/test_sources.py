"""The tables of names: each is complete, one to one, and what a source's own code calls things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zoo
from zoo.checkpoints import sources
from zoo.checkpoints.stored import Stored
from zoo.language import document

PUBLISHED = [(name, network) for name, s in sources.sources().items() for network in s.networks]


@pytest.mark.parametrize(("name", "network"), PUBLISHED)
def test_a_table_names_every_parameter_once(name, network):
    table = sources.source(name)
    graph = sources.whole(table, network)
    places = sources.places(table, graph)
    assert places.keys() == {p.name for p in graph.parameters}
    names = [key for place in places.values() for key in place.names]
    assert len(names) == len(set(names))
    for parameter in graph.parameters:
        assert (places[parameter.name].layout is None) == (len(parameter.shape) == 1)


def test_every_rule_of_a_table_is_of_use():
    for name, network in PUBLISHED:
        table = sources.source(name)
        nodes = [n.name for n in sources.whole(table, network).nodes if n.parameters]
        for ours, theirs in table.names(network).items():
            pattern = sources.pattern(ours)
            assert any(pattern.fullmatch(node) for node in nodes), f"{name}, {network}: {ours}"
            assert ours.count("*") == theirs.count("*")
        assert set(table.networks[network].layouts) <= set(nodes)


def test_what_is_published_is_what_the_family_says():
    """The tables and the specs are of the same networks."""
    for _, network in PUBLISHED:
        assert network in zoo.list_models()


def names(source: str, network: str) -> set[str]:
    table = sources.source(source)
    places = sources.places(table, sources.whole(table, network))
    return {place.names[0] for place in places.values()}


def test_torchvisions_names_of_a_vgg():
    """From its configurations: a convolution, (a batch norm,) a ReLU; 'M' is a pool."""
    layers = {
        "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
        "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
        "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
        "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
    }
    for network, configuration in layers.items():
        for suffix, norm in (("", False), ("_bn", True)):
            expected, at = set(), 0
            for layer in configuration.split():
                if layer == "M":
                    at += 1
                    continue
                expected |= {f"features.{at}.weight", f"features.{at}.bias"}
                if norm:
                    kept = ("weight", "bias", "running_mean", "running_var")
                    expected |= {f"features.{at + 1}.{local}" for local in kept}
                at += 3 if norm else 2
            heads = {f"classifier.{i}.{local}" for i in (0, 3, 6) for local in ("weight", "bias")}
            assert names("torchvision", network + suffix) == expected | heads


def test_torchvisions_names_of_a_resnet():
    """From its code: layers of blocks counted from 0, and a downsample where shapes change."""
    norm = ("weight", "bias", "running_mean", "running_var")
    configurations = {
        "resnet18": (2, [2, 2, 2, 2]),
        "resnet50": (3, [3, 4, 6, 3]),
        "wide_resnet101_2": (3, [3, 4, 23, 3]),
    }
    for network, (convs, depths) in configurations.items():
        pairs = [("conv1", "bn1")]
        for layer, depth in enumerate(depths, 1):
            for block in range(depth):
                at = f"layer{layer}.{block}"
                pairs += [(f"{at}.conv{i + 1}", f"{at}.bn{i + 1}") for i in range(convs)]
                if block == 0 and (layer > 1 or convs == 3):
                    pairs.append((f"{at}.downsample.0", f"{at}.downsample.1"))
        expected = {f"{conv}.weight" for conv, _ in pairs} | {"fc.weight", "fc.bias"}
        expected |= {f"{bn}.{local}" for _, bn in pairs for local in norm}
        assert names("torchvision", network) == expected


def test_networks_of_the_same_names_are_told_apart_by_their_shapes():
    table, alike = sources.source("torchvision"), {"resnet50", "resnext50_32x4d", "wide_resnet50_2"}
    for network in alike:
        graph = zoo.graph(network)
        places = sources.places(table, graph)
        stored = {
            places[p.name].names[0]: Stored(p.shape, "float32", lambda: pytest.fail("read"))
            for p in graph.parameters
        }
        found = [name for _, name in sources.identify(Path("file.pth"), stored)]
        assert found[0] == network
        assert set(found) == alike


def test_a_hash_is_stated_as_the_publisher_states_it():
    for name, network in PUBLISHED:
        file = sources.source(name).networks[network].file
        if name == "torchvision":  # whose names end in the beginning of the SHA-256
            assert file.sha256 == re.search(r"-([0-9a-f]{8})\.pth$", file.url)[1]
        elif file and name in ("keras", "paddle"):
            assert len(file.md5) == 32


def test_the_example_of_the_reference():
    root = Path(zoo.__file__).parents[1]
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "spec/README.md").read_text(), re.DOTALL)
    sources.Source.model_validate(document.parse(blocks[-1]))


def test_what_a_table_leaves_out():
    table = sources.source("torchvision")
    assert sources.is_left_out(table, "conv1.bn.num_batches_tracked")
    assert not sources.is_left_out(table, "conv1.bn.running_mean")
