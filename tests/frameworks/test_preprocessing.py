"""Preprocessing, held beside what Keras and PaddlePaddle themselves do."""

import importlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from loading import load

import zoo
from zoo.data import images
from zoo.data.images import Transform
from zoo.language.options import Chosen
from zoo.weights import sources
from zoo.weights.slots import published_checkpoint

#: Family of keras.applications -> the module with its ``preprocess_input``.
MODULES = {
    "vgg16_keras": "vgg16",
    "vgg19_keras": "vgg19",
    "resnet50_keras": "resnet",
    "resnet101_keras": "resnet",
    "resnet152_keras": "resnet",
    "inception_v3_keras": "inception_v3",
    "xception": "xception",
    "mobilenet_v1": "mobilenet",
    "mobilenet_v1_0_75": "mobilenet",
    "mobilenet_v1_0_5": "mobilenet",
    "mobilenet_v1_0_25": "mobilenet",
    "mobilenet_v2_keras": "mobilenet_v2",
    "densenet121_keras": "densenet",
    "densenet169_keras": "densenet",
    "densenet201_keras": "densenet",
    "inception_resnet_v2_keras": "inception_resnet_v2",
    "resnet50_v2_keras": "resnet_v2",
    "resnet101_v2_keras": "resnet_v2",
    "resnet152_v2_keras": "resnet_v2",
    "mobilenet_v2_0_35_keras": "mobilenet_v2",
    "mobilenet_v2_0_5_keras": "mobilenet_v2",
    "mobilenet_v2_0_75_keras": "mobilenet_v2",
    "mobilenet_v2_1_3_keras": "mobilenet_v2",
    "mobilenet_v2_1_4_keras": "mobilenet_v2",
    "nasnet_mobile": "nasnet",
    "nasnet_large": "nasnet",
}

#: Keras' model that begins with its preprocessing, and the networks that begin like it.
INCLUDED = {
    "EfficientNetB0": [f"efficientnet_b{i}_tf" for i in range(8)],
    "EfficientNetV2B0": [f"efficientnet_v2_b{i}" for i in range(4)],
    "EfficientNetV2S": [f"efficientnet_v2_{size}_tf" for size in "sml"],
    "MobileNetV3Small": [
        f"mobilenet_v3_{size}_{kind}"
        for size in ("large", "small")
        for kind in ("tf", "0_75", "minimal")
    ],
}


def recipe_of(source, network):
    """The preprocessing of a network with weights of a source, by their names."""
    table = sources.source(source)
    graph = published_checkpoint(table, network, Path("file"), {}, Chosen()).graph()
    return {name: value for name, value in graph.preprocessing.items() if name != "about"}


def test_no_network_of_keras_is_left_out():
    networks = sources.source("keras").networks
    # ConvNeXt's preprocessing is a layer of Keras' own model, and only of it.
    included = {name for names in INCLUDED.values() for name in names}
    known = {name for name in networks if not name.startswith("convnext")}
    assert MODULES.keys() | included == known


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "EfficientNetV2S" else [])
        for name in INCLUDED
    ],
)
def test_preprocessing_within_a_model_of_keras(name, monkeypatch):
    """With the mean and what is called the variance in the published files of EfficientNet.

    See https://github.com/tensorflow/tensorflow/issues/49930.
    """
    load("keras")
    import keras
    from keras.src.applications import efficientnet

    def load_weights(model, path):
        layer = next(x for x in model.layers if isinstance(x, keras.layers.Normalization))
        layer.adapt_mean.assign([0.485, 0.456, 0.406])
        layer.adapt_variance.assign([0.229, 0.224, 0.225])
        layer.finalize_state()

    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *_, **__: "file")
    monkeypatch.setattr(keras.Model, "load_weights", load_weights)
    weights = "imagenet" if name == "EfficientNetB0" else None
    shape = (224, 224, 3)
    model = getattr(keras.applications, name)(weights=weights, input_shape=shape)
    first = next(layer for layer in model.layers if "conv" in layer.name)
    own = keras.Model(model.input, first.input)
    pixels = keras.utils.img_to_array(keras.utils.load_img(images.default(), target_size=shape[:2]))
    expected = np.asarray(own(pixels[None]))[0]
    one, *others = INCLUDED[name]
    recipe = recipe_of("keras", one)
    found = Transform((224, 224), 3, recipe, "HWC")(images.default())
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()
    for other in others:
        assert recipe_of("keras", other) == recipe


@pytest.mark.parametrize("model", MODULES)
def test_keras_applications(model):
    load("keras")
    import keras

    graph = zoo.graph(model)
    size = graph.input_shape[1:]
    pixels = keras.utils.img_to_array(keras.utils.load_img(images.default(), target_size=size))
    module = importlib.import_module(f"keras.applications.{MODULES[model]}")
    expected = module.preprocess_input(pixels[None], data_format="channels_last")
    found = zoo.transform(graph, layout="HWC")(images.default())
    assert np.abs(found - expected[0]).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("model", "resize", "crop"),
    [("resnet50", 256, 224), ("googlenet_paddle", 256, 224), ("inception_v3_paddle", 320, 299)],
)
def test_paddle_vision(model, resize, crop):
    """With the sizes of PaddleClas, which publishes how these weights were evaluated."""
    load("paddle")
    from paddle.vision import transforms
    from PIL import Image

    steps = transforms.Compose(
        [
            transforms.Resize(resize),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    with Image.open(images.default()) as photo:
        for turned in (photo, photo.rotate(90, expand=True)):
            found = zoo.transform(model)(turned)
            assert np.abs(found - steps(turned).numpy()).max() < 1e-6


@pytest.mark.frameworks
def test_a_transform_gives_what_the_model_itself_takes(backend, spec_file):
    """Channels last in Keras and Flax; of any model it can be sent to another process."""
    load(backend)
    layers = "a: {op: global_avg_pool}\nb: {op: flatten}\nc: {op: linear, out_features: 2}"
    model = zoo.build(spec_file(layers, header="options: {input_size: [6, 9]}\n"), backend)
    transform = pickle.loads(pickle.dumps(zoo.transform(model)))
    last = backend in ("keras", "flax")
    assert transform.shape == ((6, 9, 3) if last else (3, 6, 9))
    one = transform(images.default())
    x = zoo.preprocess(images.default(), model)
    assert np.array_equal(one[None], x.transpose(0, 2, 3, 1) if last else x)
    native = one[None]
    if backend in ("torch", "paddle"):
        framework = importlib.import_module(backend)
        native = framework.from_numpy(native) if backend == "torch" else framework.to_tensor(native)
    result = model(native)
    result = result.detach().numpy() if backend in ("torch", "paddle") else np.asarray(result)
    assert np.abs(result - zoo.predict(model, x)).max() < 1e-5
