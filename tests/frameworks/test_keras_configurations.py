"""The configuration in a file of Keras decides whether the file is of the network that is named."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from filling import load_framework
from loading import load

import zoo
from zoo.api.checkpoints import own_names
from zoo.errors import WeightsError
from zoo.language import options
from zoo.weights import matching
from zoo.weights.checkpoint import Stored
from zoo.weights.reading.readers import Opened

NETWORK = "mobilenet_v1_0_25"
FREE = options.checked(False, None, None, None)

#: keras.applications, without the two that are tested every day.
PUBLISHED = (
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    *(f"DenseNet{depth}" for depth in (121, 169, 201)),
    *(f"EfficientNetB{number}" for number in range(1, 8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *("InceptionResNetV2", "InceptionV3", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small"),
    *("NASNetLarge", "NASNetMobile", "VGG16", "VGG19", "Xception"),
    *(f"ResNet{depth}{version}" for depth in (50, 101, 152) for version in ("", "V2")),
)

#: Of every family, and with every layer that zoo makes for Keras.
OWN = (
    *("lenet5", "alexnet", "googlenet_bvlc", "googlenet", "vgg9", "nin_cifar10", "inception_v3"),
    *("resnet20", "resnet18_v2", "densenet121", "squeezenet1_1", "mobilenet_v3_small_0_75"),
    *("shufflenet_v2_x0_25", "efficientnet_b0", "nasnet_mobile", "convnext_tiny", "xception"),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """MobileNet of keras.applications with values that make its outputs differ, as a file."""
    keras = load_framework("keras")
    model = keras.applications.MobileNet(
        weights=None, input_shape=(32, 32, 3), alpha=0.25, classes=5, classifier_activation=None
    )
    path = tmp_path_factory.mktemp("keras") / "w.keras"
    model.save(path)
    model.save(path.with_suffix(".h5"))
    return path


def edited(path, name, change, tmp_path):
    """Return a copy of a file in whose configuration a layer was changed."""

    def text(before):
        model = json.loads(before)
        own = re.compile(rf"{name}(_\d+)?")  # Keras numbers the layers of a process
        (layer,) = (x for x in model["config"]["layers"] if own.fullmatch(x["config"]["name"]))
        change(layer)
        return json.dumps(model)

    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    if path.suffix == ".h5":
        import h5py

        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = text(file.attrs["model_config"])
        return copy
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for each in source.namelist():
            data = source.read(each)
            target.writestr(each, text(data) if each == "config.json" else data)
    return copy


def settings(**changes):
    return lambda layer: layer["config"].update(changes)


def of_class(name, **config):
    def change(layer):
        layer["class_name"] = name
        layer["config"] = {"name": layer["config"]["name"], **config}

    return change


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("conv1", settings(strides=[1, 1]), r"conv1 has strides \[1, 1\] where \w+ has \[2, 2\]"),
        ("conv1", settings(kernel_size=[5, 5]), r"conv1 has kernel_size \[5, 5\]"),
        (
            "conv1",
            settings(padding="valid"),
            r"conv1, or before, it pads by nothing where \w+ pads by \[0, 1, 0, 1\]",
        ),
        ("conv_dw_1", settings(dilation_rate=[2, 2]), r"conv_dw_1 has dilation_rate \[2, 2\]"),
        ("conv1_bn", settings(epsilon=0.1), r"conv1_bn has epsilon 0.1 where \w+ has 0.001"),
        ("conv1", settings(activation="relu"), "before its layer conv1_bn, it has relu in conv1"),
        ("conv_pw_3", settings(strides=[2, 2]), r"subsample of size \[1, 1\] and strides \[2, 2\]"),
        (
            "conv1_relu",
            of_class("LeakyReLU"),
            r"it has LeakyReLU in conv1_relu where \w+ has relu6",
        ),
        ("conv1_relu", of_class("ReLU"), r"it has relu in conv1_relu where \w+ has relu6"),
        ("conv1_relu", of_class("ReLU", max_value=3.0), r"it has ReLU\(max_value=3.0\)"),
        ("conv1_relu", of_class("Activation", activation="gelu"), "it has gelu in conv1_relu"),
        ("conv1_relu", of_class("Activation", activation="linear"), "it has nothing where"),
        ("global_average_pooling2d", of_class("GlobalMaxPooling2D"), "head='new' gives"),
        ("predictions", of_class("Rescaling", scale=0.5), "at its end, it has Rescaling in"),
        ("dropout", of_class("Rescaling", scale=0.5), "it has Rescaling in dropout where"),
        ("conv1_relu", of_class("Permute", dims=[2, 1, 3]), "it has Permute in conv1_relu where"),
        (
            "conv_pad_2",
            settings(padding=[[1, 2], [1, 2]]),
            r"it pads by \[1, 2, 1, 2\] where \w+ pads by \[0, 1, 0, 1\]",
        ),
    ],
)
def test_another_network_is_refused(suffix, name, change, text, saved, tmp_path):
    load("torch")
    path = edited(saved.with_suffix(suffix), name, change, tmp_path)
    with pytest.raises(WeightsError, match=f"another network than {NETWORK}.*{text}"):
        zoo.build(NETWORK, "torch", weights=path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_same_network_is_read(suffix, saved):
    load("torch")
    model = zoo.build(NETWORK, "torch", weights=saved.with_suffix(suffix))
    assert "note" not in zoo.graph_of(model).origin


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (of_class("Activation", activation="sigmoid"), "without the sigmoid at the end"),
        (of_class("Softmax"), "without the softmax at the end of the file's model"),
        (of_class("Custom>Mine"), "its layers Mine could not be compared"),
        (of_class("MaxPooling2D", strides={}), "its configuration could not be compared"),
    ],
)
def test_what_follows_the_network_is_named(change, note, saved, tmp_path):
    load("torch")
    path = edited(saved, "predictions", change, tmp_path)
    assert note in zoo.graph_of(zoo.build(NETWORK, "torch", weights=path)).origin["note"]


#: What a model does beside the network, and what the error or the note says.
BESIDE = {
    "slice": (lambda net, x, keras: net(x)[:, :3], "it has GetItem in"),
    "reversed": (lambda net, x, keras: net(x)[:, ::-1], "it has GetItem in"),
    "scaled": (lambda net, x, keras: net(x) * 2, "it has Multiply in"),
    "shifted": (lambda net, x, keras: net(x) + 2, "it has Add in"),
    "twice": (lambda net, x, keras: net(x) + net(x), "it has add in"),
    "sine": (lambda net, x, keras: keras.ops.sin(net(x)), "it has Sin in"),
    "shape": (lambda net, x, keras: keras.layers.Reshape((1, 5))(net(x)), ""),
    "pairs": (lambda net, x, keras: keras.layers.Reshape((5, 1, 1))(net(x)), ""),
    "norm": (lambda net, x, keras: keras.layers.UnitNormalization()(net(x)), "UnitNormalization"),
    "padded": (lambda net, x, keras: net(keras.layers.ZeroPadding2D(2)(x)), "layers ZeroPadding2D"),
    "cropped": (lambda net, x, keras: net(keras.layers.CenterCrop(32, 32)(x)), "layers CenterCrop"),
    "probabilities": (lambda net, x, keras: keras.ops.softmax(net(x)), "without the softmax"),
    "over images": (lambda net, x, keras: keras.ops.softmax(net(x), axis=0), "softmax over axis 0"),
    "input": (lambda net, x, keras: net(x) + 9 * keras.ops.mean(x), "connected in another way"),
}


@pytest.mark.parametrize("case", BESIDE)
def test_what_a_model_computes_besides_is_refused_or_named(case, tmp_path):
    keras = load_framework("keras")
    load("torch")
    base = keras.applications.MobileNet(
        weights=None, input_shape=(32, 32, 3), alpha=0.25, classes=5, classifier_activation=None
    )
    compute, text = BESIDE[case]
    x = keras.Input((28, 28, 3) if case == "padded" else (32, 32, 3))
    keras.Model(x, compute(base, x, keras)).save(tmp_path / "w.keras")
    try:
        found = zoo.build(NETWORK, "torch", weights=tmp_path / "w.keras")
        said = zoo.graph_of(found).origin.get("note", "")
    except WeightsError as error:
        said = str(error)
    assert text in said and bool(text) == bool(said)


@pytest.mark.parametrize("size", [None, 32, 112, 97])
def test_a_network_of_any_size_is_held_to_the_size_it_is_built_for(size, tmp_path):
    """Keras decides the padding of a MobileNetV2 when it is made, for an even size if for any."""
    keras = load_framework("keras")
    load("torch")
    shape = (None, None, 3) if size in (None, 97) else (size, size, 3)
    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, pooling="avg", input_shape=shape, alpha=0.35
    )
    base.save(tmp_path / "w.keras")
    text = r"pads by \[0, 1, 0, 1\] where \S+ pads by \[1, 1, 1, 1\], for inputs of 97x97"
    with pytest.raises(WeightsError, match=text) if size == 97 else contextlib.nullcontext():
        given = size if None in shape else None
        found = zoo.load(tmp_path / "w.keras", "torch", num_classes=0, input_size=given)
        assert zoo.graph_of(found).options["input_size"] == (size or 224, size or 224)
    if size == 32:
        x = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
        expected = base.predict(x.transpose(0, 2, 3, 1), verbose=0)
        np.testing.assert_allclose(zoo.predict(found, x), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_classes_that_are_not_of_keras_are_named(suffix, tmp_path):
    keras = load_framework("keras")
    load("torch")

    class MyDense(keras.layers.Dense):
        def call(self, x):
            return 2 * super().call(x)

    class MyModel(keras.Model):
        pass

    base = zoo.build("resnet20", "keras", num_classes=0, seed=1)
    x = keras.Input((32, 32, 3))
    model = MyModel(x, MyDense(3)(base(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is called legacy
        model.save(tmp_path / f"w{suffix}")
    note = zoo.graph_of(zoo.load(tmp_path / f"w{suffix}", "torch")).origin["note"]
    assert "its layers MyModel and MyDense could not be compared" in note


def test_a_new_classifier_replaces_the_pool(saved, tmp_path):
    load("torch")
    name = "global_average_pooling2d"
    path = edited(saved, name, of_class("GlobalMaxPooling2D"), tmp_path)
    zoo.build(NETWORK, "torch", weights=path, head="new")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"config": {"layers": 3}}', "[" * 100_000])
def test_a_configuration_that_cannot_be_understood(text, saved, tmp_path):
    load("torch")
    copy = tmp_path / "w.keras"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(copy, "w") as target:
        for each in source.namelist():
            target.writestr(each, text if each == "config.json" else source.read(each))
    origin = zoo.graph_of(zoo.build(NETWORK, "torch", weights=copy)).origin
    assert ("could not be compared" in origin.get("note", "")) == bool(text)


@pytest.mark.parametrize("module", ["mobilenet_v2", "resnet"])
def test_preprocessing_by_operations_is_named(module, tmp_path):
    keras = load_framework("keras")
    load("torch")
    base = keras.applications.MobileNet(
        weights=None, input_shape=(32, 32, 3), alpha=0.25, classes=5, classifier_activation=None
    )
    x = keras.Input((32, 32, 3))
    prepared = getattr(keras.applications, module).preprocess_input(x)
    keras.Model(x, base(prepared)).save(tmp_path / "w.keras")
    model = zoo.build(NETWORK, "torch", weights=tmp_path / "w.keras")
    kinds = {"mobilenet_v2": "TrueDivide and Subtract", "resnet": "GetItem and Stack and Add"}
    assert f"without the layers {kinds[module]} of" in zoo.graph_of(model).origin["note"]


@pytest.mark.parametrize(
    ("name", "size"),
    [(name, size) for name in ("MobileNet", "EfficientNetB0") for size in (None, 97, 150)]
    + [
        pytest.param(name, size, marks=pytest.mark.slow)
        for name in PUBLISHED
        for size in ((None,) if name.startswith("NASNet") else (None, 97, 150))  # has one size
    ],
)
def test_every_model_of_keras_applications_is_its_network(name, size):
    """Its padding, too, which depends on the size of maps in some."""
    keras = load_framework("keras")
    with keras.StatelessScope(initialize_variables=False):
        options = {"input_shape": (size, size, 3)} if size else {}
        model = getattr(keras.applications, name)(weights=None, **options)
    notes = notes_of(model)
    assert notes.pop() == "without the softmax at the end of the file's model"
    assert not notes or re.fullmatch(
        "without the layers (Rescaling|Normalization|Rescaling and Normalization) of .*", *notes
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_every_model_of_zoo_is_its_network(name):
    keras = load_framework("keras")
    from zoo.keras import model

    with keras.StatelessScope(initialize_variables=False):
        assert notes_of(model.build(zoo.graph(name), None, "float32"), name) == []


def notes_of(model, name=None):
    """Return the notes on a model's file, without writing it."""
    arrays = {
        f"{layer.name}.{re.sub(r'^variable.*', '0', variable.name)}": Stored(
            tuple(variable.shape), "float32", lambda: np.zeros(())
        )
        for layer in model._flatten_layers(include_self=False)
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables)
    }
    opened = Opened(arrays, "h5", configuration=model.to_json().encode())
    *_, notes = matching.matched_arrays(Path("w.h5"), opened, None, name, FREE, own_names())
    return notes
