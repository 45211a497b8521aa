"""Labeled images in arrays, also those of an ``.npz`` file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo import arguments
from zoo.data.labeled import Array, Dataset, Part, divided, shown, whole
from zoo.errors import InputError

MAX_BYTES = 20_000_000_000  # of an array in a file


def of_file(path: Path) -> Dataset:
    """Read an ``.npz`` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _array(archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None
    except Exception as error:  # a damaged file can make zipfile and NumPy raise anything
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InputError(
            f"{shown(path)}: expected a file of arrays, as numpy.savez writes it "
            f"({_kind(path) or reason})"
        ) from None
    if not arrays:
        raise InputError(
            f"{shown(path)}: expected a file of arrays, as numpy.savez writes it, but this archive "
            "has none; if it has images, unpack it, and give the folder"
        )
    return of_arrays(str(path), arrays)


#: How files begin that are given instead -> what they are, and what to do.
_KINDS = {
    b"\x93NUMPY": "it is a single array; images and labels go together into numpy.savez",
    b"\x1f\x8b": "it is compressed by gzip; unpack it, and give the folder of images",
    b"BZh": "it is compressed by bzip2; unpack it, and give the folder of images",
    b"\xfd7zXZ": "it is compressed by xz; unpack it, and give the folder of images",
    b"Rar!": "it is a RAR archive; unpack it, and give the folder of images",
    b"7z\xbc\xaf": "it is a 7z archive; unpack it, and give the folder of images",
    b"\x89HDF": "it is an HDF5 file; read its arrays, and pass them as a dict",
    b"PAR1": "it is a Parquet file; datasets.Dataset.from_parquet opens it",
    b"ARROW1": "it is an Arrow file; datasets.Dataset.from_file opens it",
    b"MATLAB": "it is a MATLAB file; read its arrays, and pass them as a dict",
    b"\x80": "it is a pickle, which zoo does not read; save its arrays by numpy.savez",
    b"PK": "it is a damaged or incomplete archive",
    b"version https://git-lfs": "it is a pointer of Git LFS; git lfs pull fetches the file",
}


def _kind(path: Path) -> str:
    """Tell what a file is that holds no arrays, by its first bytes; empty where it is unknown."""
    with path.open("rb") as file:
        start = file.read(512)
    if start[257:262] == b"ustar":
        return "it is a tar archive; unpack it, and give the folder of images"
    known = next((kind for first, kind in _KINDS.items() if start.startswith(first)), "")
    return known if start else "it is empty"


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


def of_arrays(name: str, arrays: Mapping[str, Array]) -> Dataset:
    """Take arrays by name, as ``zoo.dataset`` documents them.

    Raises:
        InputError: They are others, or do not fit together.
    """
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
            f"{shown(name)}: expected the arrays x_train, y_train, x_test and y_test, or images "
            f"and labels, got {arguments.shown(sorted(arrays))}"
        )
    checked = [_images_and_labels(name, arrays, *pair) for pair in pairs]
    count = 1 + max(int(labels.max(initial=-1)) for _, labels in checked)
    classes = _class_names(name, arrays.get("classes"), count)
    if len(checked) == 2:
        parts = (Part(*each, title=pair[0]) for pair, each in zip(pairs, checked, strict=True))
        return whole(name, classes, *parts)
    images, labels = checked[0]
    train, validation = (
        Part(images[numbers], labels[numbers], numbers=numbers)
        for numbers in divided(map(str, range(len(labels))))
    )
    return whole(name, classes, train, validation)


def _images_and_labels(
    source: str, arrays: Mapping[str, Array], images: str, labels: str
) -> tuple[Array, Array]:
    x, y = arguments.array(images, arrays[images], "images"), arrays[labels]
    y = arguments.array(labels, y, "class numbers")
    if x.dtype != np.uint8 or not (x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3))):
        last = x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[3] not in (1, 3)
        hint = "; move the channels last: images.transpose(0, 2, 3, 1)" * last
        raise InputError(
            f"{shown(source)}: {images}: expected uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            f"got {x.dtype} {list(x.shape)}{hint}"
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise InputError(
            f"{shown(source)}: {labels}: expected {len(x)} integers, got {y.dtype} {list(y.shape)}"
            f"{_advice(y, len(x))}"
        )
    if len(y) and int(y.min()) < 0:
        raise InputError(f"{shown(source)}: {labels}: a class number is negative, {y.min()}")
    return x, y.astype(np.int64)


def _advice(labels: Array, count: int) -> str:
    """Say how class numbers are made of other labels."""
    if labels.ndim == 2 and len(labels) == count:
        return "; class numbers of one-hot labels are labels.argmax(1)"
    if labels.shape != (count,):
        return ""
    if labels.dtype.kind in "US":
        return "; classes, labels = numpy.unique(labels, return_inverse=True) numbers them"
    if labels.dtype.kind == "b" or (labels.dtype.kind == "f" and not (labels % 1).any()):
        return "; labels.astype(int) makes them integers"
    return ""


def _class_names(source: str, stated: Array | None, count: int) -> tuple[str, ...]:
    if stated is None:
        if count > 100_000:
            raise InputError(f"{shown(source)}: a class number of {count - 1:,}; is it a label?")
        return tuple(map(str, range(count)))
    stated = arguments.array("classes", stated, "names")
    if stated.ndim != 1 or stated.dtype.kind not in "US" or len(stated) < count:
        raise InputError(
            f"{shown(source)}: classes: expected {count} names or more, got {stated.dtype} "
            f"{list(stated.shape)}"
        )
    return tuple(str(name) for name in stated.astype("U"))
