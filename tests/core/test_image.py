"""Photographs as inputs: what publishers' own preprocessing gives is held beside their models."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from limits import HANG
from opening import as_file
from opening import opened as opened
from opening import small as small
from PIL import Image
from tables import golden

import zoo
from zoo.data import images
from zoo.errors import InputError
from zoo.weights import sources

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def test_the_usual_recipe_is_what_specs_say_by_themselves(spec_file):
    graph = zoo.graph(spec_file("a: {op: relu}"))
    assert graph.preprocessing == dict(images.USUAL)


def by_hand(photo: Image.Image, size=224, shorter=256, method="bilinear", mean=MEAN, std=STD):
    """torchvision's ImageClassification: resize the shorter side, center crop, scale, normalize."""
    width, height = photo.size
    method = Image.Resampling[method.upper()]
    if width < height:
        resized = photo.resize((shorter, int(shorter * height / width)), method)
    else:
        resized = photo.resize((int(shorter * width / height), shorter), method)
    left, top = round((resized.width - size) / 2), round((resized.height - size) / 2)
    pixels = np.asarray(resized.crop((left, top, left + size, top + size)), np.float64) / 255
    return ((pixels - mean) / std).transpose(2, 0, 1)[None]


def transformed_once_more(x):
    """torchvision's GoogLeNet and Inception3 begin with this, if their weights are published."""
    return np.stack(
        [
            x[:, 0] * (0.229 / 0.5) + (0.485 - 0.5) / 0.5,
            x[:, 1] * (0.224 / 0.5) + (0.456 - 0.5) / 0.5,
            x[:, 2] * (0.225 / 0.5) + (0.406 - 0.5) / 0.5,
        ],
        1,
    )


@pytest.fixture(scope="module")
def photo():
    with Image.open(images.default()) as image:
        return image.convert("RGB")


TORCHVISION = golden("torchvision_preprocessing")


def test_torchvisions_table_is_complete():
    assert {row["model"] for row in TORCHVISION} == set(sources.source("torchvision").networks)


@pytest.mark.parametrize("row", TORCHVISION, ids=lambda row: row["model"])
def test_torchvisions(row, photo):
    numbers = ([float(n) for n in row[key].split()] for key in ("mean", "std"))
    expected = by_hand(photo, int(row["crop"]), int(row["resize"]), row["interpolation"], *numbers)
    if row["model"] in ("googlenet_torchvision", "inception_v3"):
        expected = transformed_once_more(expected)
    found = zoo.preprocess(photo, row["model"])
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.parametrize(
    "size", [(451, 300), (300, 451), (301, 301), (97, 640), (224, 225), (256, 300), (1001, 667)]
)
def test_torchvisions_with_photographs_of_other_shapes(size, photo):
    photo = photo.resize(size)
    assert np.abs(zoo.preprocess(photo, "vgg16") - by_hand(photo)).max() < 1e-6
    found = zoo.preprocess(photo, "convnext_tiny")
    assert np.abs(found - by_hand(photo, shorter=236)).max() < 1e-6


def test_the_resized_side_is_rounded(photo):
    """A crop as a fraction, as older files have it, gives the publisher's own sizes, too."""
    for fraction, size, shorter in (
        (0.875, 299, 342),
        (0.9896, 380, 384),
        (0.9492, 224, 236),
        ([299, 341], 299, 341),
        ([224, 232], 112, 116),
    ):
        found = images.load(photo, (size, size), recipe={**images.USUAL, "crop": fraction})
        assert np.abs(found - by_hand(photo, size, shorter)).max() < 1e-6


@pytest.mark.parametrize("crop", ["[224, 0]", "[256, 224]", "[1, 11]", "[224]", "0.05", "[0.5, 1]"])
def test_a_crop_that_is_none_is_refused(crop, spec_file):
    path = spec_file("a: {op: relu}", header=f"preprocessing: {{crop: {crop}}}\n")
    with pytest.raises(zoo.SpecError, match=r"preprocessing\.crop: expected a number from 0\.1 to"):
        zoo.graph(path)


def test_a_graph_whose_preprocessing_is_none_is_refused(photo):
    data = zoo.graph("lenet5").to_dict()
    data["preprocessing"] = {"crop": "most of it"}
    with pytest.raises(InputError, match=r"lenet5: \$\.preprocessing\.crop: expected a number"):
        zoo.preprocess(photo, zoo.Graph.from_dict(data))
    data["preprocessing"] = {"interpolation": "nearest"}  # the rest is the usual
    assert zoo.preprocess(photo, zoo.Graph.from_dict(data)).shape == (1, 1, 32, 32)


def test_keras_squeezes_and_turns_the_colors(photo):
    squeezed = photo.resize((224, 224), Image.Resampling.NEAREST)
    pixels = np.asarray(squeezed, np.float32)[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    found = zoo.preprocess(photo, zoo.graph("vgg16_keras"))
    assert np.array_equal(found, pixels.transpose(2, 0, 1)[None])


def test_a_path_an_image_and_an_array_are_one(photo, opened):
    graph = zoo.graph("vgg16")
    path = images.default()
    expected = zoo.preprocess(path, graph)
    values = np.asarray(photo)
    for same in (str(path), bytes(path), photo, opened(path), values, photo.convert("RGBA")):
        assert np.array_equal(zoo.preprocess(same, graph), expected)
    assert np.array_equal(zoo.preprocess(np.asarray(photo.convert("RGBA")), graph), expected)
    gray = values[..., 0]
    assert np.array_equal(zoo.preprocess(gray, graph), zoo.preprocess(gray[..., None], graph))


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


def test_many_images_of_any_size(photo, small, tmp_path):
    network = zoo.graph("lenet5_modern", in_channels=3)
    mixed = [images.default(), small, np.asarray(photo), as_file(small, tmp_path / "a.png")]
    expected = np.concatenate([zoo.preprocess(image, network) for image in mixed])
    for many in (mixed, tuple(mixed), iter(mixed)):
        found = zoo.preprocess(many, network)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)
    batch = np.stack([np.asarray(small)] * 3)
    assert np.array_equal(zoo.preprocess(batch, network), expected[[1, 1, 1]])


def test_a_transform_gives_one_input(photo):
    transform = zoo.transform("vgg16_keras")
    expected = zoo.preprocess(photo, "vgg16_keras")[0]
    assert transform.shape == (3, 224, 224)
    assert np.array_equal(transform(photo), expected)
    last = zoo.transform(zoo.graph("vgg16_keras"), layout="HWC")
    assert last.shape == (224, 224, 3)
    assert np.array_equal(last(photo), expected.transpose(1, 2, 0))
    assert last(photo).flags.c_contiguous
    assert last(photo).flags.writeable
    assert last != transform
    assert last == zoo.transform("vgg16_keras", "HWC")
    assert len({last, transform, zoo.transform("vgg16_keras", "HWC")}) == 2


@pytest.mark.parametrize("layout", ["NHWC", "", "chw", 5, ["CHW"]])
def test_other_layouts_are_refused(layout):
    with pytest.raises(InputError, match="layout must be 'CHW' or 'HWC', got "):
        zoo.transform("vgg16", layout)


def test_a_transform_can_be_sent_to_a_process_which_then_imports_no_framework(photo, tmp_path):
    transform = zoo.transform("lenet5_modern")
    assert pickle.loads(pickle.dumps(transform)) == transform
    (tmp_path / "sent").write_bytes(pickle.dumps(transform))
    code = (
        "import pickle, sys; from pathlib import Path; from zoo.data import images\n"
        "found = pickle.loads(Path(sys.argv[1]).read_bytes())(images.default())\n"
        "assert not {'torch', 'paddle', 'keras', 'tensorflow', 'flax', 'jax'} & set(sys.modules)\n"
        "sys.stdout.buffer.write(found.tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "sent"], capture_output=True, timeout=HANG
    )
    assert done.stdout == transform(photo).tobytes(), done.stderr


def test_names_of_classes():
    assert zoo.graph("vgg16").classes[281] == "tabby"
    assert zoo.graph("googlenet_slim").classes[282] == "tabby"
    assert zoo.graph("googlenet_slim").classes[0] == "background"
    assert zoo.graph("vgg16", num_classes=10).classes == ()
