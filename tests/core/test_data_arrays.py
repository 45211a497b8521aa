"""Labeled images in arrays and files of arrays: what is read, and what is refused."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from zoo.data.datasets import dataset
from zoo.errors import InputError


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_a_file_without_images(tmp_path):
    np.savez(tmp_path / "a.npz", images=pixels(0, 4, 4), labels=np.zeros(0, int))
    with pytest.raises(InputError):
        dataset(tmp_path / "a.npz")


ARRAYS = {
    "x_train": pixels(6, 4, 4),
    "y_train": np.array([0, 1, 2, 0, 1, 2], np.uint8),
    "x_test": pixels(3, 4, 4),
    "y_test": np.array([[2], [1], [0]]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays(save, tmp_path):
    save(tmp_path / "a.npz", **ARRAYS, classes=np.array(["x", "y", "z"]))
    found = dataset(tmp_path / "a.npz")
    assert found.classes == ("x", "y", "z")
    assert np.array_equal(found.train.images, ARRAYS["x_train"])
    assert found.validation.labels.tolist() == [2, 1, 0]
    assert found.validation.labels.dtype == np.int64
    assert dataset(ARRAYS).train.digest == found.train.digest
    assert dataset(ARRAYS).train.digest != found.validation.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": ARRAYS["x_train"] / 255}, r"x_train: expected uint8 .* got float64 \[6, 4, 4"),
        ({"x_train": ARRAYS["x_train"][..., None, None]}, "x_train: expected uint8"),
        (
            {"x_train": pixels(6, 3, 4, 5)},
            r"got uint8 \[6, 3, 4, 5\]; move the channels last: images\.transpose\(0, 2, 3, 1\)",
        ),
        ({"y_train": np.eye(3)[ARRAYS["y_train"]]}, r"one-hot labels are labels\.argmax\(1\)"),
        ({"y_train": ARRAYS["y_train"] / 1}, r"; labels\.astype\(int\) makes them integers"),
        ({"y_train": np.array(list("abcabc"))}, r"; classes, labels = numpy\.unique\(labels, "),
        ({"y_train": ARRAYS["y_train"][:5]}, r"y_train: expected 6 integers, got uint8 \[5\]"),
        ({"y_train": ARRAYS["y_train"] / 2}, r"y_train: expected 6 integers, got float64 \[6\]$"),
        ({"y_train": ARRAYS["y_train"].astype(int) - 1}, "a class number is negative, -1"),
        (
            {"y_train": np.zeros(6, int)},
            r"no image to train on has the class 1 \(1\) \(to .* are 1\)",
        ),
        (
            {"y_test": np.array([2, 3, 0])},
            r"no image to train on has the class 3 \(3\).*; add some, or ",
        ),
        ({"y_train": np.full(6, 10**9)}, "a class number of 1,000,000,000; is it a label"),
        ({"classes": np.array(["a", "b"])}, "classes: expected 3 names or more"),
        ({"x_test": pixels(0, 4, 4), "y_test": np.zeros(0, int)}, "the validation part has no im"),
    ],
)
def test_arrays_that_are_no_dataset(changes, message, tmp_path):
    np.savez(tmp_path / "a.npz", **{**ARRAYS, **changes})
    with pytest.raises(InputError, match=message):
        dataset(tmp_path / "a.npz")


def stating(shape):
    """An array's bytes that state a shape of which nothing follows."""
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "expected a file of arrays"),
        (b"", "it is empty"),
        (b"\x93NUMPY\1\0", "a single array; images and labels go together into numpy.savez"),
        (b"\x1f\x8b\x08", "compressed by gzip; unpack it"),
        (bytes(257) + b"ustar" + bytes(250), "a tar archive; unpack it"),
        (b"PAR1", r"a Parquet file; datasets\.Dataset\.from_parquet"),
        (b"\x80\x04\x95", "a pickle, which zoo does not read"),
        (b"PK\3\4", "a damaged or incomplete archive"),
        ({"x.npy": b"no array"}, "expected a file of arrays"),
        ({"images.npy": stating((10**15,))}, "1,000,000,000,000,000 bytes are stated"),
        ({"a/1.png": b"no array"}, "this archive has none; if it has images, unpack it"),
    ],
)
def test_files_that_hold_no_arrays(content, message, tmp_path):
    path = tmp_path / "a.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, value in content.items():
                archive.writestr(name, value)
    with pytest.raises(InputError, match=message):
        dataset(path)


def test_objects_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{}], object), labels=np.zeros(1, int))
    with pytest.raises(InputError, match="images: an array of Python objects"):
        dataset(tmp_path / "a.npz")


def test_arrays_as_keras_loads_them_and_lists():
    x, y = ARRAYS["x_train"], ARRAYS["y_train"]
    found = dataset(((x, y), (ARRAYS["x_test"], ARRAYS["y_test"])))
    assert np.array_equal(found.train.images, x)
    assert found.validation.labels.tolist() == [2, 1, 0]
    x, y = np.repeat(x, 5, 0), np.repeat(y, 5)
    same = dataset({"images": list(x), "labels": y.tolist(), "classes": ["x", "y", "z"]})
    assert same.classes == ("x", "y", "z")
    assert np.array_equal(dataset((x, y)).train.images, same.train.images)
    with pytest.raises(InputError, match=r"expected \(images, labels\), or"):
        dataset(((x, y), x))
