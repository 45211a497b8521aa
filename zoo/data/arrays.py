"""Labeled images in arrays, also those of an ``.npz`` file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo import arguments
from zoo.data.labeled import Array, Dataset, Part, is_validation, shown, whole
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
            f"{shown(path)}: expected a file of arrays, as numpy.savez writes it ({reason})"
        ) from None
    return of_arrays(str(path), arrays)


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
    for pair, (_, labels) in zip(pairs, checked, strict=True):
        if len(pairs) == 1 or pair == found["train"]:
            _check_every_class(f"{name}: {pair[1]}", labels, classes)
    if len(checked) == 1:
        images, labels = checked[0]
        chosen = np.array([is_validation(str(i)) for i in range(len(labels))], bool)
        checked = [(images[~chosen], labels[~chosen]), (images[chosen], labels[chosen])]
    return whole(name, classes, *(Part(*each) for each in checked))


def _images_and_labels(
    source: str, arrays: Mapping[str, Array], images: str, labels: str
) -> tuple[Array, Array]:
    x, y = arrays[images], arrays[labels]
    if x.dtype != np.uint8 or not (x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3))):
        raise InputError(
            f"{shown(source)}: {images}: expected uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], "
            f"got {x.dtype} {list(x.shape)}"
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise InputError(
            f"{shown(source)}: {labels}: expected {len(x)} integers, got {y.dtype} {list(y.shape)}"
        )
    if len(y) and int(y.min()) < 0:
        raise InputError(f"{shown(source)}: {labels}: a class number is negative, {y.min()}")
    return x, y.astype(np.int64)


def _class_names(source: str, stated: Array | None, count: int) -> tuple[str, ...]:
    if stated is None:
        if count > 100_000:
            raise InputError(f"{shown(source)}: a class number of {count - 1:,}; is it a label?")
        return tuple(map(str, range(count)))
    if stated.ndim != 1 or stated.dtype.kind not in "US" or len(stated) < count:
        raise InputError(
            f"{shown(source)}: classes: expected {count} names or more, got {stated.dtype} "
            f"{list(stated.shape)}"
        )
    return tuple(str(name) for name in stated.astype("U"))


def _check_every_class(source: str, labels: Array, classes: Sequence[str]) -> None:
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if len(empty):
        number = int(empty[0])
        raise InputError(f"{source}: no image has the class {number} ({classes[number]})")
