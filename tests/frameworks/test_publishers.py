"""Published checkpoints: saved with the publisher's own code, loaded by zoo into every framework.

Weights and running statistics are random; the file is the publisher's form; the outputs must be
the publisher's own.
"""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import FRAMEWORKS
from filling import load_framework
from loading import load
from publishing import CLASSES, MAGNIFYING, PUBLISHED, SIDE, SLOW, of_golden, save_in_keras
from tables import golden

import zoo
from zoo.api import conversion
from zoo.language import options
from zoo.language.options import Chosen
from zoo.verification.comparison import error
from zoo.weights import identification, sources
from zoo.weights.checkpoint import Stored
from zoo.weights.reading import readers
from zoo.weights.slots import published_checkpoint, slots_of, with_heads


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="module")
def published(folder):
    """Saves a publisher's file once; gives it, its input and the publisher's outputs."""

    @functools.cache
    def make(key, dtype="float32"):
        _, _, file, save = PUBLISHED[key]
        path = folder / f"{dtype}" / file
        path.parent.mkdir(exist_ok=True)
        return path, *save(path, dtype)

    return make


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def cases():
    """Every file in every framework: one framework in turn at each run, the others slow."""
    for number, key in enumerate(PUBLISHED, 1):
        for place, backend in enumerate(FRAMEWORKS):
            in_turn = place == number % len(FRAMEWORKS) and key not in SLOW
            yield pytest.param(key, backend, marks=[] if in_turn else pytest.mark.slow)


@pytest.mark.parametrize(("key", "backend"), list(cases()), indirect=["backend"], scope="session")
def test_zoo_gives_what_the_publisher_gives(key, published, framework, backend):
    source, network, *_ = PUBLISHED[key]
    dtype = "float64" if key in MAGNIFYING else "float32"
    path, x, expected, options = published(key, dtype)
    model = zoo.build(network, backend, weights=path, dtype=dtype, **options)
    found = zoo.predict(model, x)
    if not isinstance(found, dict):
        found = {"logits": found}
    assert found.keys() == expected.keys()
    for name, value in found.items():
        if sources.source(source).outputs == "softmax":
            value = softmax(value)
        assert error(value, expected[name]) < (1e-9 if dtype == "float64" else 1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "network"),
    [(name, row["network"]) for name in ("timm", "paddleclas") for row in golden(name)],
)
def test_a_publishers_own_outputs(name, network, tmp_path):
    load("torch")
    path = tmp_path / f"model.{sources.source(name).formats[0]}"
    x, expected, options = of_golden(name, network, path, "float64")
    model = zoo.build(network, "torch", weights=path, dtype="float64", **options)
    assert error(zoo.predict(model, x), expected["logits"]) < 1e-12


@pytest.mark.parametrize(
    ("key", "other"),
    [("paddle googlenet", "flax"), ("torchvision googlenet", "keras"), ("keras vgg16", "torch")],
)
def test_a_publishers_file_becomes_zoos(key, other, published, tmp_path):
    load(other)
    source, network, *_ = PUBLISHED[key]
    path, x, expected, options = published(key)
    target = tmp_path / "w.safetensors"
    if "input_size" in options:  # not what was published, so that it has to be said
        model = zoo.build(network, other, weights=path, **options)
        zoo.save(model, target)
    else:
        graph, dtype = conversion.convert_file(str(path), target)
        assert (graph.name, dtype, graph.options["aux"]) == (network, "float32", True)
    model = zoo.load(target, other)
    assert f"{sources.source(source).title}'s" in zoo.graph_of(model).origin["names"]
    found = zoo.predict(model, x)
    logits = found["logits"] if isinstance(found, dict) else softmax(found)
    assert error(logits, expected["logits"]) < 1e-5
    assert np.argmax(logits) == np.argmax(expected["logits"])


def test_a_model_gets_the_input_size_of_published_weights(published, monkeypatch):
    load("torch")
    path, x, expected, _ = published("torchvision squeezenet")
    table = sources.source("torchvision")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = sources.File(url="https://nowhere.invalid/w.pth", sha256=digest, input_size=SIDE)
    network = table.networks["squeezenet1_0"].model_copy(update={"files": [file]})
    changed = {"networks": {**table.networks, "squeezenet1_0": network}}
    monkeypatch.setitem(sources.sources(), "torchvision", table.model_copy(update=changed))
    model = zoo.build("squeezenet1_0", "torch", weights=path, num_classes=CLASSES)
    assert zoo.graph_of(model).input_shape == (3, SIDE, SIDE)
    assert error(zoo.predict(model, x), expected["logits"]) < 1e-5
    other = zoo.build("squeezenet1_0", "torch", weights=path, num_classes=CLASSES, input_size=96)
    assert zoo.graph_of(other).input_shape == (3, 96, 96)


def test_every_source_is_tested():
    elsewhere = {"onnx"}  # test_foreign_onnx.py: nothing of those names writes such a file
    assert {source for source, *_ in PUBLISHED.values()} | elsewhere == set(sources.sources())


def of_paddle(network):
    """paddle.vision's own model of a network, without memory: names and shapes only."""
    paddle = load_framework("paddle")
    name, norm, _ = network.removesuffix("_paddle").partition("_bn")
    options = {"batch_norm": bool(norm)} if name.startswith("vgg") else {}
    if scaled := re.fullmatch(r"(mobilenet_v1)_0_(\d+)", name):
        name, options = scaled[1], {"scale": float(f"0.{scaled[2]}")}
    with paddle.LazyGuard():
        return getattr(paddle.vision.models, name)(**options)


#: Of keras.applications, with the models that they are of.
COUNTED = [
    row
    for family in ("densenet", "efficientnet", "mobilenet", "resnet_v2")
    for row in golden(f"parameters/{family}")
    if row["source"].startswith("keras.applications ")
]

COMPACT = ("alexnet", "squeezenet", "mobilenet", "shufflenet", "regnet")


@pytest.mark.parametrize(
    "network", [n for n in sources.source("torchvision").networks if n.startswith(COMPACT)]
)
def test_torchvisions_names_and_shapes(network):
    torch = load_framework("torch")
    from standins import compact_in_torch as standins

    graph = zoo.graph(network)
    table = sources.source("torchvision")
    slots = slots_of(table, graph)
    with torch.device("meta"):
        stored = standins.make(network, 1000).state_dict()
    shapes = {
        name: tuple(value.shape) for name, value in stored.items() if not table.leaves_out(name)
    }
    assert {slots[p.name].names[0]: p.shape for p in graph.parameters} == shapes


@pytest.mark.parametrize("network", sources.source("paddle").networks)
def test_paddles_own_names_and_shapes(network):
    table = sources.source("paddle")
    graph = with_heads(network)
    slots = slots_of(table, graph)
    shapes = {name: tuple(value.shape) for name, value in of_paddle(network).state_dict().items()}
    assert {slot.names[0] for slot in slots.values()} == shapes.keys()
    for parameter in graph.parameters:
        slot = slots[parameter.name]
        shape = parameter.shape[1::-1] if slot.layout == "IO" else parameter.shape
        assert shapes[slot.names[0]] == shape


@pytest.mark.slow
@pytest.mark.parametrize("row", COUNTED, ids=lambda row: row["model"])
def test_keras_own_names_and_shapes(row):
    """Of the models whose parameters are counted; networks of the same names differ in shapes."""
    keras = load_framework("keras")
    call = re.match(r"keras\.applications (\w+)(?:\((\w+)=([\w.]+)\))? model", row["source"])
    name, option, value = call.groups()
    options = {option: value == "True" or float(value)} if option else {}
    with keras.StatelessScope(initialize_variables=False):
        model = getattr(keras.applications, name)(weights=None, **options)
    stored = {
        f"{layer.name}.{variable.name}": Stored(tuple(variable.shape), "float32", pytest.fail)
        for layer in model.layers
        for variable in layer.weights
    }
    tables = identification.sources_of_format("h5", ())
    (table, network), *_ = identification.identify(tables, stored)
    assert network == row["model"]
    found = published_checkpoint(table, network, Path("file.h5"), stored, Chosen()).arrays
    assert {name: each.shape for name, each in found.items()} == {
        p.name: p.shape for p in zoo.graph(network).parameters
    }


@pytest.mark.parametrize(
    ("name", "network", "side"),
    [
        ("MobileNet", "mobilenet_v1", 32),  # whose layers have names
        *(
            pytest.param(name, network, side, marks=pytest.mark.slow)
            for name, network, side in (
                ("InceptionV3", "inception_v3_keras", 75),  # whose layers Keras numbers
                ("ResNet50", "resnet50_keras", 32),
                ("Xception", "xception", 71),
                ("MobileNetV2", "mobilenet_v2_keras", 32),
                ("MobileNetV3Large", "mobilenet_v3_large_tf", 32),
                ("EfficientNetV2B0", "efficientnet_v2_b0", 32),
            )
        ),
    ],
)
def test_every_form_of_a_file_of_keras_says_the_same(name, network, side, tmp_path):
    """The second model of a session counts on: its first convolution is, say, conv2d_94."""
    keras = load_framework("keras")
    make = getattr(keras.applications, name)
    shape = {"input_shape": (side, side, 3), "classes": CLASSES}
    with keras.StatelessScope(initialize_variables=False):  # of the first only the names matter
        make(weights=None, **shape)
    model = make(weights=None, **shape)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.random(tuple(variable.shape), np.float32))
    chosen = options.checked(False, CLASSES, None, None)
    found = []
    for file in ("whole.h5", "one.weights.h5", "keras1_.h5", "keras2_.h5"):
        path = tmp_path / file
        save_in_keras(model, path)
        stored = readers.read(path).arrays
        (table, which), *_ = identification.identify(identification.sources_of_format("h5"), stored)
        assert which == network
        found.append(published_checkpoint(table, network, path, stored, chosen))
    expected = {p.name: p.shape for p in zoo.graph(network, num_classes=CLASSES).parameters}
    for checkpoint in found:
        assert {name: each.shape for name, each in checkpoint.arrays.items()} == expected
        for parameter, each in checkpoint.arrays.items():
            assert np.array_equal(each.read(), found[0].arrays[parameter].read())
