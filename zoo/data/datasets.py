"""Labeled images: published datasets, folders, arrays, and the datasets of other libraries."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zoo import arguments, downloads
from zoo.downloads import Download
from zoo.errors import InputError, UnknownNameError, printable, shortened, suggestion

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
#: Images by number.
Images = Sequence[Any] | Array

#: What the folders of the two parts of a dataset may be called.
TRAIN, VALIDATION = ("train", "training"), ("val", "validation", "valid", "test")
#: The part of a dataset without parts that becomes its validation part.
FRACTION = 0.1
#: Suffixes of the files that are taken for images; others in a folder are ignored.
SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .jp2 .pgm .png .ppm .tif .tiff .webp .avif".split())
MAX_BYTES = 20_000_000_000  # of an array in a file
#: Where Debian's package dataset-fashion-mnist puts its files.
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True, eq=False)
class Part:
    """The images of a dataset to train on, or those to validate with.

    Attributes:
        images: Images as :func:`zoo.preprocess` takes them: uint8 arrays, files, Pillow images.
        labels: Class numbers, int64 [N].
        names: A name of each image, for messages and digests; None where they have only numbers.
    """

    images: Images
    labels: Array
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Return how a message calls an image."""
        return self.names[index] if self.names else f"image {index}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the labels and of the images, or of the names of those in files."""
        state = hashlib.sha256(np.ascontiguousarray(self.labels, "<i8").tobytes())
        if isinstance(self.images, np.ndarray):
            state.update(np.ascontiguousarray(self.images).data)
        for name in self.names or ():
            state.update(f"{name}\0".encode(errors="surrogateescape"))
        return state.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labeled images in two parts.

    Attributes:
        name: What the dataset is called.
        classes: The names of the classes, by number.
        train: What to train on.
        validation: What to evaluate with.
    """

    name: str
    classes: tuple[str, ...]
    train: Part
    validation: Part

    def __repr__(self) -> str:
        sizes = f"{len(self.train):,} to train on, {len(self.validation):,} to validate with"
        return f"<{self.name}: {sizes}, {len(self.classes)} classes>"


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


def dataset(source: Any, columns: tuple[str, str] | None = None) -> Dataset:
    """Open labeled images.

    Args:
        source: One of:

            - the name of a published dataset: ``digits``, which zoo ships, ``fashion-mnist`` or
              ``cifar10``, which are downloaded once;
            - a folder with the folders ``train`` and ``val``, each with a folder of images for each
              class; or with a folder for each class, of whose images a tenth, chosen by the hashes
              of their names, is for validation;
            - an ``.npz`` file of arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or
              ``images`` and ``labels``, and perhaps ``classes``;
            - a dict of such arrays;
            - a ``Dataset`` or ``DatasetDict`` of Hugging Face's library.
        columns: The names of the columns of images and of labels, for the last.

    Returns:
        The dataset.

    Raises:
        UnknownNameError: There is no such dataset.
        InputError: It cannot be read, has fewer than two classes, or has an empty one.

    Example:
        >>> digits = dataset("digits")
        >>> digits
        <digits: 1,607 to train on, 190 to validate with, 10 classes>
        >>> digits.train.images[0].shape, int(digits.train.labels[0])
        ((8, 8), 0)
    """
    if isinstance(source, Dataset):
        return source
    if isinstance(source, Mapping) and all(isinstance(v, np.ndarray) for v in source.values()):
        return _of_arrays("arrays", source)
    if hasattr(source, "features") or (
        isinstance(source, Mapping) and all(hasattr(v, "features") for v in source.values())
    ):
        return _of_columns(source, columns)
    if isinstance(source, str) and source.lower() in PUBLISHED:
        return PUBLISHED[source.lower()].read()
    path = arguments.path("data", source, "the name of a dataset, a folder, a file or arrays")
    if os.path.isdir(path):
        return _of_folder(Path(path))
    if os.path.isfile(path):
        return _of_file(Path(path))
    hint = suggestion(os.fspath(path), PUBLISHED) or f". Known: {', '.join(PUBLISHED)}."
    raise UnknownNameError(
        f"data: no such folder, file or dataset: {arguments.shown(os.fspath(path))}{hint}"
    )


def _of_folder(folder: Path) -> Dataset:
    """Read a folder of images, by class."""
    inside = {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    parts = [
        next((inside[name] for name in names if name in inside), None)
        for names in (TRAIN, VALIDATION)
    ]
    if parts[0] is None and parts[1] is None:
        classes, files, labels = _classes_in(folder)
        validation = np.array([_is_validation(name) for name, _ in files])
        return _whole(str(folder), classes, *_divided(files, labels, validation))
    if parts[0] is None or parts[1] is None:
        present, absent = ("val", "train") if parts[0] is None else ("train", "val")
        raise InputError(
            f"{_shown(folder)}: there is a folder {present!r}, but none called {absent!r}"
        )
    classes, files, labels = _classes_in(parts[0])
    others, other_files, other_labels = _classes_in(parts[1])
    if others != classes:
        name = sorted(set(classes) ^ set(others))[0]
        missing = parts[1] if name in classes else parts[0]
        raise InputError(
            f"{_shown(missing)}: has no folder for the class {arguments.shown(name)}, and "
            f"{_shown(parts[0] if missing is parts[1] else parts[1])} has one"
        )
    parts_of_files = (_part_of_files(files, labels), _part_of_files(other_files, other_labels))
    return _whole(str(folder), classes, *parts_of_files)


def _classes_in(folder: Path) -> tuple[tuple[str, ...], list[tuple[str, Path]], Array]:
    """Return the names of classes; names and paths of images; and labels."""
    classes: list[str] = []
    files: list[tuple[str, Path]] = []
    labels: list[int] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: os.fsencode(entry.name)):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        images = sorted(
            (path for path in entry.rglob("*") if path.suffix.lower() in SUFFIXES),
            key=os.fsencode,
        )
        if not images:
            raise InputError(f"{_shown(entry)}: there are no images of this class")
        files += [(path.relative_to(folder).as_posix(), path) for path in images]
        labels += [len(classes)] * len(images)
        classes.append(entry.name)
    if len(classes) < 2:
        found = f"only {arguments.shown(classes[0])}" if classes else "none"
        raise InputError(
            f"{_shown(folder)}: expected a folder of images for each of two classes or more, "
            f"found {found}"
        )
    return tuple(classes), files, np.array(labels, np.int64)


def _is_validation(name: str) -> bool:
    """Choose a tenth of the images by their names, which other images do not change."""
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "little") < FRACTION * 2**64


def _divided(files: list[tuple[str, Path]], labels: Array, chosen: Array) -> tuple[Part, Part]:
    train, validation = (
        _part_of_files([files[i] for i in np.flatnonzero(mask)], labels[mask])
        for mask in (~chosen, chosen)
    )
    return train, validation


def _part_of_files(files: list[tuple[str, Path]], labels: Array) -> Part:
    return Part([path for _, path in files], labels, [name for name, _ in files])


def _of_file(path: Path) -> Dataset:
    """Read an ``.npz`` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _array(archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
    except InputError as error:
        raise InputError(f"{_shown(path)}: {error}") from None
    except Exception as error:  # a damaged file can make zipfile and NumPy raise anything
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InputError(
            f"{_shown(path)}: expected a file of arrays, as numpy.savez writes it ({reason})"
        ) from None
    return _of_arrays(str(path), arrays)


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    """Read an array whose size is checked before there is memory for it."""
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.hasobject:
            raise InputError(f"{name}: an array of Python objects, which zoo does not read")
        if size > min(info.file_size, MAX_BYTES):
            raise InputError(f"{name}: {size:,} bytes are stated, but it has {info.file_size:,}")
        content = file.read(size)
    values = np.frombuffer(content, dtype, int(np.prod(shape, dtype=object)))
    return values.reshape(shape, order="F" if fortran else "C")


#: Names of the arrays of a part: images and labels.
_NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "validation": (
        *(("x_val", "y_val"), ("val_images", "val_labels")),
        *(("x_test", "y_test"), ("test_images", "test_labels")),
    ),
    "whole": (("images", "labels"), ("x", "y")),
}


def _of_arrays(name: str, arrays: Mapping[str, Array]) -> Dataset:
    found = {
        part: next((pair for pair in pairs if set(pair) <= arrays.keys()), None)
        for part, pairs in _NAMES.items()
    }
    if found["train"] and found["validation"]:
        pairs = [found["train"], found["validation"]]
    elif found["whole"]:
        pairs = [found["whole"]]
    else:
        raise InputError(
            f"{_shown(name)}: expected the arrays x_train, y_train, x_test and y_test, or images "
            f"and labels, got {arguments.shown(sorted(arrays))}"
        )
    checked = [_images_and_labels(name, arrays, *pair) for pair in pairs]
    count = 1 + max(int(labels.max(initial=-1)) for _, labels in checked)
    classes = _class_names(name, arrays.get("classes"), count)
    for pair, (_, labels) in zip(pairs, checked, strict=True):
        if len(pairs) == 1 or pair == found["train"]:
            _check_every_class(f"{name}: {pair[1]}", labels, classes)
    if len(checked) == 1:
        images, labels = checked[0]
        chosen = np.array([_is_validation(str(i)) for i in range(len(labels))])
        checked = [(images[~chosen], labels[~chosen]), (images[chosen], labels[chosen])]
    return _whole(name, classes, *(Part(*each) for each in checked))


def _images_and_labels(
    source: str, arrays: Mapping[str, Array], images: str, labels: str
) -> tuple[Array, Array]:
    x, y = arrays[images], arrays[labels]
    if x.dtype != np.uint8 or not (x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3))):
        raise InputError(
            f"{_shown(source)}: {images}: expected uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            f"got {x.dtype} {list(x.shape)}"
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise InputError(
            f"{_shown(source)}: {labels}: expected {len(x)} integers, got {y.dtype} {list(y.shape)}"
        )
    if len(y) and int(y.min()) < 0:
        raise InputError(f"{_shown(source)}: {labels}: a class number is negative, {y.min()}")
    return x, y.astype(np.int64)


def _class_names(source: str, stated: Array | None, count: int) -> tuple[str, ...]:
    if stated is None:
        if count > 100_000:
            raise InputError(f"{_shown(source)}: a class number of {count - 1:,}; is it a label?")
        return tuple(map(str, range(count)))
    if stated.ndim != 1 or stated.dtype.kind not in "US" or len(stated) < count:
        raise InputError(
            f"{_shown(source)}: classes: expected {count} names or more, got {stated.dtype} "
            f"{list(stated.shape)}"
        )
    return tuple(str(name) for name in stated.astype("U"))


def _check_every_class(source: str, labels: Array, classes: Sequence[str]) -> None:
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if len(empty):
        number = int(empty[0])
        raise InputError(f"{source}: no image has the class {number} ({classes[number]})")


def _of_columns(source: Any, columns: tuple[str, str] | None) -> Dataset:
    """Read a dataset of Hugging Face's library."""
    parts = dict(source) if isinstance(source, Mapping) else {"train": source}
    train = next((parts[name] for name in TRAIN if name in parts), None)
    validation = next((parts[name] for name in VALIDATION if name in parts), None)
    if train is None:
        raise InputError(
            f"data: there is no part called 'train', only {arguments.shown(list(parts))}"
        )
    image, label = columns or _columns_of(train.features)
    classes = tuple(getattr(train.features.get(label), "names", None) or ())

    def part(rows: Any) -> Part:
        labels = np.asarray(rows[label])
        if labels.dtype.kind not in "iu":
            raise InputError(
                f"data: the column {label!r} has {labels.dtype} values, not class numbers"
            )
        return Part(_Column(rows, image), labels.astype(np.int64))

    if validation is None:
        halves = train.train_test_split(test_size=FRACTION, seed=0)
        train, validation = halves["train"], halves["test"]
    whole = part(train)
    classes = classes or tuple(map(str, range(int(whole.labels.max(initial=0)) + 1)))
    return _whole("a dataset", classes, whole, part(validation))


def _columns_of(features: Mapping[str, Any]) -> tuple[str, str]:
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    images = [name for name, kind in kinds.items() if kind == "Image"]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    if len(images) != 1 or len(labels) != 1:
        raise InputError(
            "data: which columns have images and labels? Give their names, as in "
            f"columns=('image', 'label'); there are {', '.join(kinds)}"
        )
    return images[0], labels[0]


class _Column(Sequence[Any]):
    """A column of a dataset of Hugging Face's library, read row by row."""

    def __init__(self, rows: Any, name: str) -> None:
        self._rows, self._name = rows, name

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[int(index)][self._name]


def _whole(name: str, classes: tuple[str, ...], train: Part, validation: Part) -> Dataset:
    if len(classes) < 2:
        raise InputError(f"{_shown(name)}: expected two classes or more, found {len(classes)}")
    for kind, part in (("train", train), ("validation", validation)):
        if not len(part):
            raise InputError(f"{_shown(name)}: the {kind} part has no images")
        if int(part.labels.max()) >= len(classes) or int(part.labels.min()) < 0:
            raise InputError(
                f"{_shown(name)}: a label of the {kind} part is not from 0 to {len(classes) - 1}"
            )
    return Dataset(name, classes, train, validation)


def _shown(path: str | Path) -> str:
    return shortened(printable(os.fspath(path)), 200)


def _digits() -> Dataset:
    with np.load(Path(__file__).parent / "digits.npz", allow_pickle=False) as file:
        images, labels = file["images"] * np.uint8(15), file["labels"]
    return _of_arrays("digits", {"images": images, "labels": labels})


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

    return _whole("fashion-mnist", _FASHION_CLASSES, read("train"), read("t10k"))


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
        raise InputError(f"{_shown(path)}: cannot be read ({error})") from None
    if len(content) != length:
        raise InputError(f"{_shown(path)}: expected {length:,} bytes, uncompressed")
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
    return _whole("cifar10", _CIFAR_CLASSES, train, validation)


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
