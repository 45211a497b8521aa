"""The published datasets that zoo knows."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo import downloads
from zoo.data.arrays import of_arrays
from zoo.data.labeled import Array, Dataset, Part, shown, whole
from zoo.downloads import Download
from zoo.errors import InputError

#: Where Debian's package dataset-fashion-mnist puts its files.
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Published:
    """A dataset that zoo knows.

    Attributes:
        name: Its name.
        title: Its whole name.
        images: The number of its images.
        size: Their height, width and channels.
        bytes: How much is downloaded; 0 for what zoo ships.
        license: Its license.
        url: Where it comes from.
        read: A function that reads it.
    """

    name: str
    title: str
    images: int
    size: tuple[int, int, int]
    bytes: int
    license: str
    url: str
    read: Callable[[], Dataset]


def _digits() -> Dataset:
    with np.load(Path(__file__).parent / "digits.npz", allow_pickle=False) as file:
        images, labels = file["images"] * np.uint8(15), file["labels"]
    return of_arrays("digits", {"images": images, "labels": labels})


#: Name -> MD5 of the file, as its publisher states it, and the length of what is compressed in it.
_FASHION = {
    "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 16 + 60_000 * 784),
    "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", 8 + 60_000),
    "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", 16 + 10_000 * 784),
    "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", 8 + 10_000),
}
_FASHION_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"
_FASHION_CLASSES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def _fashion_mnist() -> Dataset:
    def read(kind: str) -> Part:
        images = _idx(f"{kind}-images-idx3-ubyte").reshape(-1, 28, 28)
        return Part(images, _idx(f"{kind}-labels-idx1-ubyte").astype(np.int64))

    return whole("fashion-mnist", _FASHION_CLASSES, read("train"), read("t10k"))


def _idx(name: str) -> Array:
    """Read a file of MNIST's format: a header, then bytes."""
    md5, length = _FASHION[name]
    path = DEBIAN / f"{name}.gz"
    if not path.is_file():
        path = downloads.fetch(
            _download("fashion-mnist", f"{_FASHION_URL}/{name}.gz", f"{name}.gz", ("md5", md5))
        )
    try:
        with gzip.open(path) as file:
            content = file.read(length + 1)
    except (OSError, EOFError) as error:
        raise InputError(f"{shown(path)}: cannot be read ({error})") from None
    if len(content) != length:
        raise InputError(f"{shown(path)}: expected {length:,} bytes, uncompressed")
    return np.frombuffer(content, np.uint8, offset=16 if "idx3" in name else 8)


_CIFAR_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_CIFAR_ROW = 1 + 3 * 32 * 32


def _cifar10() -> Dataset:
    path = downloads.fetch(
        _download("cifar10", _CIFAR_URL, "cifar-10-binary.tar.gz", ("sha256", _CIFAR_SHA256))
    )
    with tarfile.open(path) as archive:
        train = _rows_of_cifar(archive, [f"data_batch_{i}.bin" for i in range(1, 6)])
        validation = _rows_of_cifar(archive, ["test_batch.bin"])
    return whole("cifar10", _CIFAR_CLASSES, train, validation)


def _rows_of_cifar(archive: tarfile.TarFile, names: Iterable[str]) -> Part:
    """Read files of rows: a label, then the pixels of red, green and blue."""
    contents = []
    for name in names:
        file = archive.extractfile(f"cifar-10-batches-bin/{name}")
        assert file is not None, "the hash of the archive was checked"
        contents.append(file.read(10_000 * _CIFAR_ROW))
    rows = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, _CIFAR_ROW)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Part(np.ascontiguousarray(images), rows[:, 0].astype(np.int64))


def _download(name: str, url: str, file: str, digest: tuple[str, str]) -> Download:
    return Download(
        title=f"{name}: {file}",
        url=url,
        folder=name,
        name=file,
        hash=digest,
        copy="set ZOO_CACHE to a folder that has it",
        error=InputError,
    )


#: Name -> a dataset that zoo knows.
PUBLISHED: dict[str, Published] = {
    entry.name: entry
    for entry in (
        Published(
            name="digits",
            title="Optical Recognition of Handwritten Digits, the test set",
            images=1_797,
            size=(8, 8, 1),
            bytes=0,
            license="CC BY 4.0",
            url="https://archive.ics.uci.edu/dataset/80",
            read=_digits,
        ),
        Published(
            name="fashion-mnist",
            title="Fashion-MNIST",
            images=70_000,
            size=(28, 28, 1),
            bytes=30_878_645,
            license="MIT",
            url="https://github.com/zalandoresearch/fashion-mnist",
            read=_fashion_mnist,
        ),
        Published(
            name="cifar10",
            title="CIFAR-10",
            images=60_000,
            size=(32, 32, 3),
            bytes=170_052_171,
            license="not stated",
            url="https://www.cs.toronto.edu/~kriz/cifar.html",
            read=_cifar10,
        ),
    )
}
