"""The tables of names: each is complete, one to one, and what a source's own code calls things."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from publishing import shapes_in
from tables import golden

import zoo
from zoo.language import document
from zoo.language.options import Chosen
from zoo.weights import identification, provenance, sources
from zoo.weights import names as naming
from zoo.weights.checkpoint import Stored
from zoo.weights.slots import in_canonical_layout, published_checkpoint, slots_of, with_heads

PUBLISHED = [(name, network) for name, s in sources.sources().items() for network in s.networks]
STARS = ["1", "2", "3", "4"]


@pytest.mark.parametrize(("name", "network"), PUBLISHED)
def test_a_table_names_every_parameter_once(name, network):
    table = sources.source(name)
    graph = with_heads(network)
    slots = slots_of(table, graph)
    assert slots.keys() == {p.name for p in graph.parameters}
    names = [key for slot in slots.values() for key in slot.names]
    assert len(names) == len(set(names))
    for parameter in graph.parameters:
        assert (slots[parameter.name].layout is None) == (len(parameter.shape) == 1)


def test_every_rule_of_a_table_is_of_use():
    for name, network in PUBLISHED:
        table = sources.source(name)
        graph = with_heads(network)
        parameters = [p.name for p in graph.parameters]
        for ours, several in table.names(network).items():
            pattern = naming.pattern(ours)
            assert any(map(pattern.fullmatch, parameters)), f"{name}, {network}: {ours}"
            for theirs in several:  # each star, by its place or its number, or that of the block
                numbers = sorted(set(re.findall(r"\$(\d)", theirs)))
                numbers = numbers or STARS[: theirs.count("*")]
                if "#" in theirs:
                    depth = table.network(network).blocks.count(".") + 1
                    numbers = STARS[: ".".join(ours.split(".")[:depth]).count("*")] + numbers
                assert numbers == STARS[: ours.count("*")], theirs
        for ours in table.networks[network].layouts:
            assert any(fnmatchcase(node.name, ours) for node in graph.nodes)


def test_what_is_published_is_what_the_family_says():
    """The tables and the specs are of the same networks."""
    for _, network in PUBLISHED:
        assert network in zoo.list_models()


def names(source: str, network: str) -> set[str]:
    table = sources.source(source)
    slots = slots_of(table, with_heads(network))
    return {slot.names[0] for slot in slots.values()}


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


def test_the_names_of_a_vgg_in_caffe_and_slim():
    """From VGG_ILSVRC_*_layers_deploy.prototxt, and from research/slim/nets/vgg.py."""
    for network, depths in (("vgg16", (2, 2, 3, 3, 3)), ("vgg19", (2, 2, 4, 4, 4))):
        pairs = [(i, j) for i, depth in enumerate(depths, 1) for j in range(1, depth + 1)]
        fcs = ("fc6", "fc7", "fc8")
        layers = [f"conv{i}_{j}" for i, j in pairs]
        assert names("caffe", network) == {f"{n}.{b}" for n in (*layers, *fcs) for b in (0, 1)}
        scope = f"vgg_{network.removeprefix('vgg')}"
        scopes = [f"{scope}.conv{i}.conv{i}_{j}" for i, j in pairs]
        scopes += [f"{scope}.{fc}" for fc in fcs]
        expected = {f"{n}.{local}" for n in scopes for local in ("weights", "biases")}
        assert names("slim", network) == expected


@pytest.mark.parametrize("network", ["squeezenet1_0_caffe", "squeezenet1_1_caffe"])
def test_the_names_of_a_squeezenet_in_caffe(network):
    """From SqueezeNet_v1.*/deploy.prototxt; both versions have the same."""
    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    fires = [f"fire{fire}/{part}" for fire in range(2, 10) for part in parts]
    layers = ["conv1", *fires, "conv10"]
    assert names("caffe", network) == {f"{name}.{blob}" for name in layers for blob in (0, 1)}


@pytest.mark.parametrize(
    ("name", "network"),
    [(name, row["network"]) for name in ("timm", "paddleclas") for row in golden(name)],
)
def test_a_publishers_own_names_and_shapes(name, network):
    """Against a digest of those of the publisher's own model."""
    assert shapes_in(name, network)


def test_every_network_of_timm_and_paddleclas_was_compared_with_their_own():
    standins = {"googlenet_paddle", *(f"vgg{n}_paddleclas" for n in (11, 13, 16, 19))}
    for name, others in (("timm", set()), ("paddleclas", standins)):
        known = {row["network"] for row in golden(name)}
        assert known | others == sources.source(name).networks.keys()


def test_networks_of_the_same_names_are_told_apart_by_their_shapes():
    table, alike = sources.source("torchvision"), {"resnet50", "resnext50_32x4d", "wide_resnet50_2"}
    for network in alike:
        graph = zoo.graph(network)
        slots = slots_of(table, graph)
        stored = {
            slots[p.name].names[0]: Stored(p.shape, "float32", lambda: pytest.fail("read"))
            for p in graph.parameters
        }
        tables = identification.sources_of_format("pth")
        found = [name for _, name in identification.identify(tables, stored)]
        assert found[0] == network
        assert set(found) == alike


def test_a_hash_is_stated_as_the_publisher_states_it():
    for name, network in PUBLISHED:
        published = sources.source(name).networks[network]
        for each in published.published:
            if name == "torchvision" or (name == "timm" and each.url.endswith(".pth")):
                # whose names end in the beginning of the SHA-256
                assert each.sha256 == re.search(r"-([0-9a-f]{8,})\.pth$", each.url)[1]
        file = published.file
        if file and name in ("keras", "paddle"):
            unstated = name == "keras" and network.startswith(("mobilenet_v1", "mobilenet_v2"))
            whole = len(file.sha256 or "") == 64 or file.md5 is not None
            assert whole != unstated


def test_the_example_of_the_reference():
    root = Path(zoo.__file__).parents[1]
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "spec/README.md").read_text(), re.DOTALL)
    sources.Source.model_validate(document.parse(blocks[-1]))


def test_a_license_is_that_of_the_network():
    table = sources.source("keras")
    for network, license in (("vgg16_keras", "CC BY 4.0"), ("xception", "MIT")):
        path, file = Path(f"{network}.h5"), table.networks[network].file
        checkpoint = published_checkpoint(table, network, path, {}, Chosen())
        origin = provenance.stated(checkpoint, path, [table], file).origin
        assert origin["license"].startswith(f"{license}")


def test_what_a_table_leaves_out():
    table = sources.source("torchvision")
    assert table.leaves_out("conv1.bn.num_batches_tracked")
    assert not table.leaves_out("conv1.bn.running_mean")


def test_numbers_count_from_the_least_in_a_file():
    counted = naming.counted_from_one(
        ["conv2d.k", "conv2d_1.k", "bn_8.b", "conv2d_x.k"], ["conv2d", "bn"]
    )
    assert counted == {
        "conv2d_1.k": "conv2d.k",
        "conv2d_2.k": "conv2d_1.k",
        "bn_1.b": "bn_8.b",
        "conv2d_x.k": "conv2d_x.k",
    }
    assert naming.counted_from_one(["a_01.k", "a_1.k"], ["a"]) == {
        "a_01.k": "a_01.k",
        "a_1.k": "a_1.k",
    }


def test_a_file_lacks_no_number():
    table = sources.source("keras")
    slots = slots_of(table, zoo.graph("xception"))
    keys = {slot.names[0].replace("conv2d_", "conv2d_9") for slot in slots.values()}
    assert identification.has_names_of(table, "xception", dict.fromkeys(keys))
    assert not identification.has_names_of(
        table, "xception", dict.fromkeys(keys - {"conv2d_92.kernel"})
    )
    assert not identification.has_names_of(
        table, "xception", dict.fromkeys(keys | {"conv2d_95.kernel"})
    )


def test_the_rule_that_says_the_most_holds():
    rules = naming.rules({"a*.conv*": ["x"], "a1.conv*": ["y"], "a1.conv2.weight": ["z"]})
    found = [
        naming.translated(name, rules, {}, "weight", ["w"])
        for name in ("a2.conv2.weight", "a1.conv3.weight", "a1.conv2.weight")
    ]
    assert found == [("x.w",), ("y.w",), ("z",)]


def test_a_depthwise_kernel_of_several_outputs_a_channel():
    """TensorFlow's [h, w, C, M] has channel c's output m at c * M + m, as its documentation says."""
    table = sources.source("keras")
    graph = zoo.graph("xception")
    slot = slots_of(table, graph)["block2.sepconv1.depthwise.weight"]
    kernel = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    laid = in_canonical_layout(Stored(kernel.shape, "int64", lambda: kernel), slot)
    assert laid.shape == (20, 1, 2, 3)
    assert np.array_equal(laid.read()[3 * 5 + 2, 0], kernel[:, :, 3, 2])


def test_a_linear_layer_over_channels_is_a_convolution_of_one_pixel():
    slots = slots_of(sources.source("torchvision"), zoo.graph("convnext_tiny"))
    weight = np.arange(4 * 3.0).reshape(4, 3)
    slot = slots["stage2.block1.expand.weight"]
    laid = in_canonical_layout(Stored(weight.shape, "float64", lambda: weight), slot)
    assert laid.shape == (4, 3, 1, 1)
    assert np.array_equal(laid.read()[:, :, 0, 0], weight)


def test_a_vector_may_be_kept_with_axes_of_one():
    slots = slots_of(sources.source("torchvision"), zoo.graph("convnext_tiny"))
    scale = np.arange(3.0).reshape(3, 1, 1)
    slot = slots["stage2.block1.scale.weight"]
    laid = in_canonical_layout(Stored(scale.shape, "float64", lambda: scale), slot)
    assert laid.shape == laid.read().shape == (3,)
