"""Labeled images in folders and in published datasets: what is read, and what is refused."""

from __future__ import annotations

import gzip
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

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
