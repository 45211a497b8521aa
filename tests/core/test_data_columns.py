"""Labeled images of Hugging Face's library, as far as it matters how that has them."""

from __future__ import annotations

import io
import typing

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data.datasets import dataset
from zoo.errors import InputError


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


#: The features of an image and of a label in Hugging Face's library, which are known by their names.
Picture = type("Image", (), {})
Kind = type("ClassLabel", (), {"names": ("cat", "dog")})


class Rows:
    """As much of a Dataset of that library as is used."""

    def __init__(self, images, labels):
        self.columns = {"picture": images, "kind": labels}
        self.features = {"picture": Picture(), "kind": Kind()}

    def __len__(self):
        return len(self.columns["kind"])

    def __getitem__(self, key):
        if isinstance(key, str):
            return self.columns[key]
        return {name: values[key] for name, values in self.columns.items()}


def test_a_dataset_of_hugging_face():
    images = [Image.fromarray(pixels(4, 4, 3, seed=i)) for i in range(4)]
    found = dataset({"train": Rows(images, [0, 1, 1, 0]), "test": Rows(images[:2], [1, 0])})
    assert found.classes == ("cat", "dog")
    assert found.train.images[2] is images[2]
    assert found.validation.labels.tolist() == [1, 0]
    rows = Rows(images, [0, 1, 1, 0])
    rows.features["mask"] = Picture()
    with pytest.raises(InputError, match="which columns .* there are picture, kind, mask"):
        dataset({"train": rows, "test": rows})
    again = dataset({"train": rows, "test": rows}, columns=["picture", "kind"])
    assert len(again.train) == 4
    with pytest.raises(InputError, match="no column 'image', only picture, kind, mask"):
        dataset(rows, columns=("image", "kind"))
    with pytest.raises(InputError, match="columns must be the names of two columns"):
        dataset(rows, columns="picture")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", "dog"], r"names of classes, not their numbers; class_encode_column\('kind'\)"),
        ([0, None], "rows without a label"),
        ([[0, 1], [1, 0]], r"has int64 \[2, 2\], not a class number for each image"),
        ([0.5, 1.0], "not a class number for each image"),
        ([], "the train part has no images"),
    ],
)
def test_columns_that_are_no_labels(labels, message):
    rows = Rows([pixels(4, 4, 3)] * len(labels), labels)
    with pytest.raises(InputError, match=message):
        dataset({"train": rows, "test": rows})


def test_a_stream_of_hugging_face_is_refused():
    kind = {"__module__": "datasets.iterable_dataset", "features": None}
    stream = type("IterableDataset", (), kind)()
    for given in (stream, {"train": stream, "test": stream}):
        with pytest.raises(InputError, match="load it without streaming=True"):
            dataset(given)


class Formatted(Rows):
    """Rows that come in the format of a framework, with its order of axes."""

    format: typing.ClassVar = {"type": "torch"}

    def __getitem__(self, key):
        raise AssertionError("tensors are not wanted")

    def with_format(self, kind):
        assert kind is None
        rows = Rows(self.columns["picture"], self.columns["kind"])
        rows.features = self.features
        return rows


def test_images_of_hugging_face_in_other_forms():
    image = pixels(4, 4, 3)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    encoded = {"bytes": file.getvalue(), "path": None}
    damaged = {"bytes": b"no image", "path": None}
    path = {"bytes": None, "path": "/a.png"}
    rows = Formatted([image.tolist(), encoded, path, damaged], [0, 1, 1, 0])
    rows.features["picture"] = type("Array3D", (), {"dtype": "uint8"})()
    found = dataset({"train": rows, "test": rows}).train.images
    assert found[0].dtype == np.uint8
    assert np.array_equal(found[0], image)
    assert np.array_equal(found[1], image)
    assert found[2] == "/a.png"
    with pytest.raises(InputError, match="no format that Pillow knows"):
        found[3]


def labeled(names, labels):
    """Rows with images that are not looked at."""
    rows = Rows([pixels(4, 4, 3)] * len(labels), labels)
    rows.features["kind"] = type("ClassLabel", (), {"names": names})()
    return rows


def test_parts_whose_classes_have_other_numbers():
    train = labeled(["cat", "dog", "owl"], [0, 1, 2])
    found = dataset({"train": train, "test": labeled(["owl", "cat"], [0, 1, 1])})
    assert found.classes == ("cat", "dog", "owl")
    assert found.validation.labels.tolist() == [2, 0, 0]
    with pytest.raises(InputError, match="the class 'cow' of one part is not among the classes"):
        dataset({"train": train, "test": labeled(["cow", "cat"], [0, 1])})


def test_a_part_that_would_not_be_used_is_named():
    rows = labeled(["cat", "dog"], [0, 1])
    assert len(dataset({"training": rows, "dev": labeled(["cat", "dog"], [0])}).validation) == 1
    with pytest.raises(InputError, match=r"'test', and zoo does not use \['holdout'\]; pass"):
        dataset({"train": rows, "holdout": rows})


def test_rows_that_are_divided_keep_their_numbers():
    rows = Rows([pixels(4, 4, seed=i) for i in range(40)], [0, 1] * 20)
    found = dataset(rows)
    parts = (found.train, found.validation)
    for part in parts:
        for index, image in enumerate(part.images):
            number = int(part.name(index).removeprefix("image "))
            assert image is rows.columns["picture"][number]
            assert part.labels[index] == number % 2
    assert sum(map(len, parts)) == 40
    arrays = dataset((np.stack(rows.columns["picture"]), rows.columns["kind"]))
    assert [arrays.validation.name(i) for i in range(len(arrays.validation))] == [
        found.validation.name(i) for i in range(len(found.validation))
    ]


def test_every_class_has_an_image_to_train_on():
    names = ["cat", "dog", "owl"]
    train, others = labeled(names, [0, 1] * 20), labeled(names, [2, 2])
    for given in ({"train": train, "test": train}, train):
        with pytest.raises(InputError, match=r"the class 2 \(owl\); add some, or leave the class"):
            dataset(given)
    with pytest.raises(InputError, match=r"\(owl\) \(to validate with, there are 2\)"):
        dataset({"train": train, "test": others})


class Decoding(Rows):
    """Rows whose library decodes images, and raises errors of its own."""

    def __getitem__(self, key):
        if key == "picture" or not isinstance(key, str):
            raise AssertionError("zoo decodes the images")
        return super().__getitem__(key)

    def cast_column(self, name, feature):
        assert (name, feature.decode) == ("picture", False)
        return Rows(self.columns["picture"], self.columns["kind"])


def test_a_damaged_image_of_hugging_face_is_named_or_skipped():
    file = io.BytesIO()
    Image.fromarray(pixels(8, 8, 3)).save(file, "JPEG")
    images = [file.getvalue(), file.getvalue()[:200], b"no image"]
    paths = [None, "cats/1.jpg", None]
    values = [{"bytes": b, "path": path} for b, path in zip(images, paths, strict=True)]
    rows = Decoding(values, [0, 1, 1])
    rows.features["picture"] = type("Image", (), {"__init__": _decoding})(True)
    part = dataset({"train": rows, "test": rows}).train
    named = r"^image 1 of 'train' \(cats/1\.jpg\): cannot be read as an image"
    with pytest.raises(InputError, match=named):
        zoo.stream("lenet5", part, 3, shuffle=False).batch(0)
    batch = zoo.stream("lenet5", part, 3, shuffle=False, skip_damaged=True).batch(0)
    assert batch.damaged == (1, 2, 2)
    assert part.name(2) == "image 2 of 'train'"


def _decoding(self, decode):
    self.decode = decode
