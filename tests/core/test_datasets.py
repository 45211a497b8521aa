"""Labeled images: what is read, and what is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
import typing
import zipfile

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import downloads
from zoo.data import published
from zoo.data.datasets import dataset
from zoo.errors import InputError, UnknownNameError


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def write(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels(5, 4, 3, seed=number))
        image.save(folder / name, "JPEG" if name.endswith(".JPG") else "PNG")
    return folder


def test_the_digits_that_ship():
    found = dataset("digits")
    assert len(found.train) + len(found.validation) == 1797
    assert found.classes == tuple("0123456789")
    assert found.train.images.max() == 240
    counts = np.bincount(found.train.labels) + np.bincount(found.validation.labels)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # scikit-learn's


def test_a_folder_of_parts_and_classes(tmp_path):
    write(
        tmp_path,
        *("train/b/2.png", "train/b/1.JPG", "train/a/x/deep.png"),
        *("val/a/1.png", "val/b/1.png"),
    )
    (tmp_path / "train" / "a" / "notes.txt").write_text("no image")
    (tmp_path / "train" / ".hidden").mkdir()
    found = dataset(tmp_path)
    assert found.classes == ("a", "b")
    assert found.train.names == ["a/x/deep.png", "b/1.JPG", "b/2.png"]
    assert found.train.labels.tolist() == [0, 1, 1]
    assert found.validation.labels.tolist() == [0, 1]


def test_what_programs_hide_in_a_folder_is_no_data(tmp_path):
    """Notebooks copy images, macOS writes files beside them, and archives bring a folder."""
    write(
        tmp_path,
        *("a/1.png", "a/.ipynb_checkpoints/1-checkpoint.png", "a/._1.png", "b/1.png"),
        *("__MACOSX/a/._1.png", "b/__MACOSX/._1.png", "b/2.jfif"),
    )
    found = dataset(write(tmp_path, *(f"{kind}/{i}.png" for kind in "ab" for i in range(20))))
    names = {*found.train.names, *found.validation.names}
    assert names == {f"{kind}/{i}.png" for kind in "ab" for i in range(20)} | {"b/2.jfif"}


def test_a_link_to_a_folder_is_one(tmp_path):
    elsewhere = write(tmp_path / "elsewhere", *(f"{i}.png" for i in range(30)))
    write(tmp_path / "set", "a/1.png", "b/1.png")
    (tmp_path / "set" / "a" / "more").symlink_to(elsewhere)
    (tmp_path / "set" / "a" / "back").symlink_to(tmp_path / "set")
    found = dataset(tmp_path / "set")
    names = sorted([*found.train.names, *found.validation.names])
    assert names == sorted(["a/1.png", "b/1.png", *(f"a/more/{i}.png" for i in range(30))])


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("TRAIN", "Val")])
def test_parts_of_a_folder_by_other_names(tmp_path, train, test):
    write(tmp_path, f"{train}/a/1.png", f"{train}/b/1.png", f"{test}/a/1.png", f"{test}/b/1.png")
    assert len(dataset(tmp_path).train) == 2


def test_a_folder_of_classes_is_divided_by_the_names_of_its_images(tmp_path):
    names = [f"{kind}/{i}.png" for kind in "ab" for i in range(60)]
    before = dataset(write(tmp_path, *names))
    assert 3 < len(before.validation) < 25
    after = dataset(write(tmp_path, "c/1.png", *(f"a/more{i}.png" for i in range(30))))
    assert set(before.validation.names) <= set(after.validation.names)
    assert set(before.train.names) <= set(after.train.names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.png"], "two classes or more, found only 'a'"),
        (["1.png"], "two classes or more, found none"),
        (["train/a/1.png", "train/b/1.png"], "a folder 'train', but none called 'val'"),
        (["val/a/1.png", "val/b/1.png"], "a folder 'val', but none called 'train'"),
        (["Test/a/1.png", "Test/b/1.png"], "a folder 'Test', but none called 'train'"),
        (["a/1.heic", "b/1.png"], r"a: there are no images of this class, only .* ending \.heic"),
        (["dataset_info.json"], r"found none; datasets\.load_from_disk opens it"),
        (
            ["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/c/1.png"],
            "val: has no folder for the class 'b', and .*train has one",
        ),
    ],
)
def test_folders_that_are_no_dataset(names, message, tmp_path):
    with pytest.raises(InputError, match=message):
        dataset(write(tmp_path, *names))


def test_an_empty_class(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match="c: there are no images of this class"):
        dataset(tmp_path)


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
        ({"y_train": np.zeros(6, int)}, r"y_train: no image has the class 1 \(1\)"),
        ({"y_test": np.array([2, 3, 0])}, r"y_train: no image has the class 3 \(3\)"),
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


@pytest.mark.parametrize("source", ["fashion", "cifar-10", "no/such/folder"])
def test_an_unknown_name(source):
    with pytest.raises(UnknownNameError, match=r"Did you mean|Known: digits"):
        dataset(source)


def test_what_is_no_data_at_all():
    model = type("AlexNet", (), {"features": [1, 2]})()
    for value in (3, model):
        with pytest.raises(InputError, match="data must be the name of a dataset"):
            dataset(value)


def test_fashion_mnist_is_read_where_debian_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "DEBIAN", tmp_path)
    monkeypatch.setattr(published, "_FASHION", {
        name: (md5, (header + count * (784 if "images" in name else 1)))
        for name, (md5, header, count) in {
            "train-images-idx3-ubyte": ("", 16, 20), "train-labels-idx1-ubyte": ("", 8, 20),
            "t10k-images-idx3-ubyte": ("", 16, 10), "t10k-labels-idx1-ubyte": ("", 8, 10),
        }.items()
    })  # fmt: skip
    for kind, count in (("train", 20), ("t10k", 10)):
        images = pixels(count, 28, 28)
        with gzip.open(tmp_path / f"{kind}-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes(16) + images.tobytes())
        with gzip.open(tmp_path / f"{kind}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(bytes(8) + bytes(i % 10 for i in range(count)))
    found = dataset("fashion-mnist")
    assert np.array_equal(found.validation.images, pixels(10, 28, 28))
    assert found.classes[9] == "ankle boot"
    with gzip.open(tmp_path / "t10k-labels-idx1-ubyte.gz", "wb") as file:
        file.write(bytes(8))
    with pytest.raises(InputError, match="expected 18 bytes, uncompressed"):
        dataset("fashion-mnist")


def test_cifar10_is_read_from_its_archive(tmp_path, monkeypatch):
    path = tmp_path / "cifar.tar.gz"
    rows = pixels(20, 1 + 3072)
    rows[:, 0] = np.arange(20) % 10
    with tarfile.open(path, "w:gz") as archive:
        for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = rows.nbytes
            archive.addfile(info, io.BytesIO(rows.tobytes()))
    monkeypatch.setattr(downloads, "fetch", lambda file: path)
    found = dataset("cifar10")
    assert (len(found.train), len(found.validation)) == (100, 20)
    red = rows[3, 1:1025].reshape(32, 32)
    assert np.array_equal(found.train.images[3][:, :, 0], red)
    assert found.train.labels[3] == 3


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
    rows = Decoding([{"bytes": image, "path": None} for image in images], [0, 1, 1])
    rows.features["picture"] = type("Image", (), {"__init__": _decoding})(True)
    part = dataset({"train": rows, "test": rows}).train
    with pytest.raises(InputError, match="image 1: .*cannot be read as an image"):
        zoo.stream("lenet5", part, 3, shuffle=False).batch(0)
    batch = zoo.stream("lenet5", part, 3, shuffle=False, skip_damaged=True).batch(0)
    assert batch.damaged == (1, 2, 2)


def _decoding(self, decode):
    self.decode = decode
