"""Where weights came from: only a hash, or what a file says of itself, proves a publisher."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo
from zoo.api import conversion
from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.language.options import Chosen
from zoo.weights import adaptation, loading, sources
from zoo.weights.reading import zoo_file
from zoo.weights.slots import slots_of

LICENSE = "CC BY-NC 4.0"
RECIPE = {"crop": 1, "interpolation": "bicubic"}
CONFIG = {
    "input_size": [3, 288, 320], "crop_pct": 0.95, "crop_mode": "squash", "interpolation": "bicubic",
    "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5], "license": "apache-2.0", "tag": "mine",
}  # fmt: skip


def write(path, source, network, metadata=None, num_classes=None):
    """A file of zeros with a source's names."""
    graph = zoo.graph(network, num_classes=num_classes)
    slots = slots_of(sources.source(source), graph)
    arrays = {}
    for parameter in graph.parameters:
        slot, shape = slots[parameter.name], parameter.shape
        if slot.op == "linear" and slot.layout == "OIHW":
            shape = (*shape, 1, 1)
        arrays[slot.names[0]] = np.zeros(shape, np.float16)
    save_file(arrays, path, metadata)
    return path


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "mine.safetensors", "torchvision", "squeezenet1_1")


@pytest.fixture
def publish(monkeypatch):
    """Lets a source publish a file, as its further weights."""

    def publish(path, source, network, kind="sha256", digits=8, tag="NEW", **fields):
        table = sources.source(source)
        digest = hashlib.new(kind, path.read_bytes()).hexdigest()
        digest = digest[:digits] if kind == "sha256" else digest
        url = f"https://nowhere.invalid/{path.name}"
        published = sources.File(url=url, tag=tag, **{kind: digest}, **fields)
        changed = table.networks[network].model_copy(update={"files": [published]})
        networks = {**table.networks, network: changed}
        table = table.model_copy(update={"networks": networks})
        monkeypatch.setitem(sources.sources(), source, table)

    return publish


def opened(weights, network=None):
    """The checkpoint, and the graph that a model gets."""
    checkpoint = loading.find(weights, network, Chosen())
    graph, _ = adaptation.filling(checkpoint.graph(), checkpoint, dtype="float16")
    return graph


@pytest.mark.parametrize("network", ["squeezenet1_1", None])
@pytest.mark.parametrize("weights", ["{}", "torchvision:{}"])
def test_names_alone_prove_no_publisher(weights, network, file):
    graph = opened(weights.format(file), network)
    assert graph.origin == {"names": "as torchvision's", "file": "mine.safetensors"}
    assert graph.preprocessing == zoo.graph("squeezenet1_1").preprocessing


def test_every_source_with_these_names_is_said(tmp_path):
    path = write(tmp_path / "w.safetensors", "timm", "densenet121")
    for network in ("densenet121", None):
        assert opened(path, network).origin["names"] == "as timm's and torchvision's"
    assert opened(f"timm:{path}").origin["names"] == "as timm's"


@pytest.mark.parametrize(("kind", "digits"), [("sha256", 8), ("sha256", 64), ("md5", 32)])
def test_a_hash_proves_it_whatever_the_file_is_called(kind, digits, file, publish):
    publish(file, "torchvision", "squeezenet1_1", kind, digits, license=LICENSE)
    for network in ("squeezenet1_1", None):
        origin = {"source": "torchvision", "file": "mine.safetensors", "license": LICENSE}
        assert opened(file, network).origin == origin


def test_a_changed_byte_is_another_file(file, publish):
    publish(file, "torchvision", "squeezenet1_1", license=LICENSE)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert "license" not in opened(file).origin


def test_a_file_of_the_second_source_of_its_names(tmp_path, publish):
    path = write(tmp_path / "w.safetensors", "timm", "densenet121")
    publish(path, "torchvision", "densenet121")
    origin = opened(path).origin
    assert origin["source"] == "torchvision"
    assert origin["license"] == sources.source("torchvision").license


def test_a_published_file_brings_its_own_preprocessing(file, publish, tmp_path):
    publish(file, "torchvision", "squeezenet1_1", preprocessing=RECIPE, input_size=96)
    graph = opened(file)
    usual = zoo.graph("squeezenet1_1").preprocessing
    assert graph.preprocessing == {**usual, **RECIPE}
    assert graph.options["input_size"] == (96, 96)
    target = tmp_path / "zoos.safetensors"
    assert conversion.convert_file(str(file), target, input_size=64)[0].input_shape == (3, 64, 64)
    saved = zoo_file.read(target)
    assert saved.origin == dict(graph.origin)
    assert saved.graph().preprocessing == {**usual, **RECIPE}


def test_a_tag_names_one_of_the_files(file, publish, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    publish(file, "torchvision", "squeezenet1_1", license=LICENSE)
    (tmp_path / "torchvision").mkdir()
    file.rename(tmp_path / "torchvision" / file.name)  # as if it had been downloaded
    graph = opened("torchvision:NEW", "squeezenet1_1")
    assert graph.origin["license"] == LICENSE
    with pytest.raises(InputError, match="'OLD' of squeezenet1_1: zoo knows IMAGENET1K_V1, NEW"):
        loading.check("torchvision:OLD", "squeezenet1_1")
    with pytest.raises(InputError, match="torchvision publishes several networks; choose one"):
        loading.check("torchvision:NEW", None)
    with pytest.raises(InputError, match="its only file has no tag"):
        loading.check("keras:NEW", "xception")
    with pytest.raises(InputError, match="publishes no weights of 'squeezenet1_1'"):
        loading.check("timm:NEW", "squeezenet1_1")
    with pytest.raises(UnknownNameError, match="Did you mean 'torchvision'"):
        loading.check("torchvison:NEW", "squeezenet1_1")


def timms(tmp_path, metadata=None):
    path = tmp_path / "model.safetensors"
    return write(path, "timm", "mobilenet_v3_small_minimal", metadata)


@pytest.mark.parametrize("inside", [True, False])
def test_what_timms_file_says_of_itself(inside, tmp_path):
    stated = {"pretrained_cfg": json.dumps(CONFIG)} if inside else None
    path = timms(tmp_path, stated)
    config = {"architecture": "mobilenetv3_small_100", "pretrained_cfg": CONFIG}
    (tmp_path / "config.json").write_text("{}" if inside else json.dumps(config))
    graph = opened(path)
    assert graph.origin["license"] == "apache-2.0"
    assert graph.origin["names"] == "as timm's"
    assert graph.options["input_size"] == (288, 320)
    assert graph.preprocessing == {
        **zoo.graph("squeezenet1_1").preprocessing,
        **{"crop": 0.95, "keep_aspect": False, "interpolation": "bicubic"},
        **{"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5]},
    }


def test_a_file_that_was_published_for_a_network_that_is_alike_is_refused(tmp_path, publish):
    path = write(tmp_path / "renamed.safetensors", "timm", "efficientnet_b0_tf")
    assert loading.find(path, "efficientnet_b0", Chosen()).model == "efficientnet_b0"
    publish(path, "timm", "efficientnet_b0_tf")
    with pytest.raises(
        WeightsError, match="timm's file of efficientnet_b0_tf, whose .* build 'eff"
    ):
        loading.find(path, "efficientnet_b0", Chosen())
    assert loading.find(path, "efficientnet_b0_tf", Chosen()).origin["source"] == "timm"
    assert loading.find(path, None, Chosen()).model == "efficientnet_b0_tf"


def test_the_file_with_the_damage_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    path = write(
        tmp_path / "model.safetensors", "timm", "mnasnet0_5", metadata={"pretrained_cfg": "{"}
    )
    with pytest.raises(WeightsError, match=r"model\.safetensors: pretrained_cfg: "):
        loading.find(path, None, Chosen())


def test_a_head_of_imagenet_21k_is_one_of_so_many_classes(publish, tmp_path):
    network, classes = "mobilenet_v3_large_timm", 11221
    path = write(tmp_path / "w.safetensors", "timm", network, num_classes=classes)
    publish(path, "timm", network, license="MIT")
    checkpoint = loading.find(path, network, Chosen())
    graph = adaptation.fitted(checkpoint.graph(), checkpoint, Chosen())
    graph, _ = adaptation.filling(graph, checkpoint, dtype="float16")
    assert graph.options["num_classes"] == classes
    assert graph.origin["license"] == "MIT"
    assert graph.classes == ()  # not ImageNet's thousand


@pytest.mark.parametrize("network", ["densenet121", "inception_v3"])
def test_timms_files_with_torchvisions_names_say_their_preprocessing(network, tmp_path):
    """Without it, the file may be torchvision's, whose preprocessing differs, or anyone's."""
    silent = write(tmp_path / "a.safetensors", "timm", network)
    stated = write(
        tmp_path / "b.safetensors", "timm", network, {"pretrained_cfg": json.dumps(CONFIG)}
    )
    usual, own = opened(silent, network), opened(stated, network)
    assert usual.origin["names"] == own.origin["names"] == "as timm's and torchvision's"
    assert usual.preprocessing == zoo.graph(network).preprocessing
    assert usual.input_shape == zoo.graph(network).input_shape
    assert own.preprocessing["crop"] == CONFIG["crop_pct"]
    assert own.preprocessing["mean"] == CONFIG["mean"]
    assert own.input_shape == (3, 288, 320)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    ("architecture", "network"),
    [
        ("efficientnet_b0", "efficientnet_b0"),
        ("tf_efficientnet_b0", "efficientnet_b0_tf"),
        ("resnet18", None),
        (5, None),
    ],
)
def test_networks_that_differ_in_no_array_are_told_apart_by_timms_word(
    tmp_path, architecture, network, beside
):
    config = {**CONFIG, "architecture": architecture}
    path = write(
        tmp_path / "model.safetensors",
        "timm",
        "efficientnet_b0_tf",
        None if beside else {"pretrained_cfg": json.dumps(config)},
    )
    if beside:
        config = {"architecture": architecture, "pretrained_cfg": CONFIG}
        (tmp_path / "config.json").write_text(json.dumps(config))
    if network is None:
        with pytest.raises(WeightsError, match="of efficientnet_b0 and of efficientnet_b0_tf"):
            loading.find(path, None, Chosen())
    else:
        assert loading.find(path, None, Chosen()).model == network


def test_the_configuration_of_another_file_is_not_read(tmp_path):
    path = timms(tmp_path).rename(tmp_path / "mine.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": CONFIG}))
    assert "license" not in opened(path).origin


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"architecture": "bert"}', '{"pretrained_cfg": null}']
)
def test_a_configuration_that_says_nothing_of_weights(text, tmp_path):
    path = timms(tmp_path)
    (tmp_path / "config.json").write_text(text)
    assert "license" not in opened(path).origin


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({**CONFIG, "crop_pct": 0}, "crop_pct: .*greater than 0"),
        ({**CONFIG, "crop_mode": "border"}, "crop_mode: "),
        ({**CONFIG, "std": [0, 1, 1]}, "std.0: "),
        ({**CONFIG, "mean": [0.5]}, "mean.1: "),
        ({**CONFIG, "input_size": [1, 224, 224]}, "input_size.0: "),
        ({**CONFIG, "interpolation": None}, "interpolation: "),
        ([], "valid dictionary"),
    ],
)
def test_a_wrong_configuration_is_an_error(config, problem, tmp_path):
    path = timms(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": config}))
    with pytest.raises(WeightsError, match=rf"config.json: pretrained_cfg: .*{problem}") as caught:
        opened(path)
    assert "Correct it or remove it" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"pretrained_cfg": {"mean": [NaN]}}', "\0"]
)
def test_a_damaged_configuration_is_an_error(text, tmp_path):
    path = timms(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config.json: pretrained_cfg"):
        opened(path)
