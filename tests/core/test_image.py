"""Photographs as inputs: what publishers' own preprocessing gives is held beside their models."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data import images
from zoo.errors import InputError


def test_the_usual_recipe_is_what_specs_say_by_themselves(spec_file):
    graph = zoo.graph(spec_file("a: {op: relu}"))
    assert graph.preprocessing == dict(images.USUAL)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_are_as_bright_as_8(kind, tmp_path):
    grey = np.arange(64, dtype=np.uint16).reshape(8, 8) * 4
    paths = [tmp_path / f"{bits}.{kind}" for bits in (8, 16)]
    Image.fromarray(grey.astype(np.uint8)).save(paths[0])
    Image.fromarray((grey * 257).astype(np.uint16)).save(paths[1])
    eight, sixteen = (images.load(path, (8, 8)) for path in paths)
    assert np.array_equal(eight, sixteen)
    assert np.array_equal(images.load(Image.open(paths[1]), (8, 8)), eight)


def test_numbers_that_are_no_brightness_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "f.tiff")
    with pytest.raises(InputError, match="expected an image with 8 or 16 bits per value"):
        images.load(tmp_path / "f.tiff", (4, 4))


def by_hand(photo: Image.Image, size=224, shorter=256):
    """torchvision's ImageClassification: resize the shorter side, centre crop, scale, normalise."""
    width, height = photo.size
    if width < height:
        resized = photo.resize((shorter, int(shorter * height / width)), Image.Resampling.BILINEAR)
    else:
        resized = photo.resize((int(shorter * width / height), shorter), Image.Resampling.BILINEAR)
    left, top = round((resized.width - size) / 2), round((resized.height - size) / 2)
    pixels = np.asarray(resized.crop((left, top, left + size, top + size)), np.float64) / 255
    normal = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return normal.transpose(2, 0, 1)[None]


@pytest.fixture(scope="module")
def photo():
    return Image.open(images.default()).convert("RGB")


@pytest.mark.parametrize("turned", [False, True])
def test_torchvisions(turned, photo):
    photo = photo.rotate(90, expand=True) if turned else photo
    found = zoo.preprocess(photo, zoo.graph("vgg16"))
    assert found.dtype == np.float32
    assert np.abs(found - by_hand(photo)).max() < 1e-6


def test_torchvisions_googlenet_transforms_its_input_once_more(photo):
    x = by_hand(photo)
    transformed = [
        x[:, 0] * (0.229 / 0.5) + (0.485 - 0.5) / 0.5,
        x[:, 1] * (0.224 / 0.5) + (0.456 - 0.5) / 0.5,
        x[:, 2] * (0.225 / 0.5) + (0.406 - 0.5) / 0.5,
    ]
    found = zoo.preprocess(photo, zoo.graph("googlenet_torchvision"))
    assert np.abs(found - np.stack(transformed, 1)).max() < 1e-6


def test_keras_squeezes_and_turns_the_colours(photo):
    squeezed = photo.resize((224, 224), Image.Resampling.NEAREST)
    pixels = np.asarray(squeezed, np.float32)[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    found = zoo.preprocess(photo, zoo.graph("vgg16_keras"))
    assert np.array_equal(found, pixels.transpose(2, 0, 1)[None])


def test_a_path_an_image_and_an_array_are_one(photo):
    graph = zoo.graph("vgg16")
    expected = zoo.preprocess(images.default(), graph)
    assert np.array_equal(zoo.preprocess(str(images.default()), graph), expected)
    assert np.array_equal(zoo.preprocess(photo, graph), expected)
    assert np.array_equal(zoo.preprocess(np.asarray(photo), graph), expected)
    with_alpha = np.asarray(photo.convert("RGBA"))
    assert np.array_equal(zoo.preprocess(with_alpha, graph), expected)


@pytest.mark.parametrize("size", [(32, 32), (240, 320), (301, 97), (1, 1)])
def test_other_sizes(size, photo):
    found = zoo.preprocess(photo, zoo.graph("googlenet", input_size=(240, 320)))
    assert found.shape == (1, 3, 240, 320)
    assert images.load(photo, size).shape == (1, 3, *size)
    flat = Image.new("RGB", (37, 91), (255, 0, 0))
    values = images.load(flat, size)
    assert values[0, 0] == pytest.approx((1 - 0.485) / 0.229, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels(channels, photo):
    assert zoo.preprocess(photo, zoo.graph("vgg16", in_channels=channels)).shape[1] == channels


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 4, 3)), r"expected an image as uint8 \[H, W, 3\], got float64 \[4, 4, 3\]"),
        (np.zeros((4, 4, 2), np.uint8), "expected an image as uint8"),
        (np.zeros((0, 4, 3), np.uint8), "expected an image as uint8"),
        (3, "an image must be a file, a Pillow image or an array, got 3"),
        (None, "an image must be a file, a Pillow image or an array, got None"),
        ("no.jpg", "no.jpg: no such file"),
        (__file__, "cannot be read as an image"),
        (Image.new("L", (1, 1_000_000)), "too narrow to crop"),
    ],
    ids=["floats", "two channels", "empty", "number", "none", "missing", "text", "narrow"],
)
def test_what_is_no_image(given, message):
    with pytest.raises(InputError, match=message):
        zoo.preprocess(given, zoo.graph("vgg16"))


def test_names_of_classes():
    assert zoo.graph("vgg16").classes[281] == "tabby"
    assert zoo.graph("googlenet_slim").classes[282] == "tabby"
    assert zoo.graph("googlenet_slim").classes[0] == "background"
    assert zoo.graph("vgg16", num_classes=10).classes == ()
