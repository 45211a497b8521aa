"""Labeled images, in a part to train on and one to validate with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import InputError, printable, shortened

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
#: Images by number.
Images = Sequence[Any] | Array

#: What the two parts of a dataset may be called.
TRAIN = ("train", "training")
VALIDATION = ("val", "validation", "valid", "dev", "eval", "test", "testing")
#: The part of a dataset without parts that becomes its validation part.
FRACTION = 0.1


@dataclass(frozen=True, eq=False)
class Part:
    """The images of a dataset to train on, or those to validate with.

    Attributes:
        images: Images as :func:`zoo.preprocess` takes them: uint8 arrays, files, Pillow images.
        labels: Class numbers, int64 [N].
        names: A name of each image, for messages and digests; None where they have only numbers.
        numbers: The number of each image in what the caller passed; None if it is the same.
        title: What the caller calls the part that has these numbers; empty if it is all there is.
        paths: Where images without a name come from, for messages; None or empty if that is not
            known.
    """

    images: Images
    labels: Array
    names: Sequence[str] | None = None
    numbers: Array | None = None
    title: str = ""
    paths: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Return how a message calls an image."""
        if self.names:
            return self.names[index]
        number = index if self.numbers is None else int(self.numbers[index])
        title = f" of {self.title!r}" if self.title else ""
        path = self.paths[index] if self.paths else ""
        return f"image {number}{title}{f' ({shown(path)})' if path else ''}"

    def fault(self, index: int, error: InputError) -> str:
        """Return the message of an error about an image, with its name."""
        name, reason = self.name(index), str(error)
        return reason if name in reason else f"{name}: {reason.removeprefix('the image: ')}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the labels and of the images, or of the names of those in files."""
        state = hashlib.sha256(np.ascontiguousarray(self.labels, "<i8").tobytes())
        if isinstance(self.images, np.ndarray):
            state.update(np.ascontiguousarray(self.images).data)
        for name in self.names or ():
            state.update(f"{name}\0".encode(errors="surrogateescape"))
        return state.hexdigest()

    @cached_property
    def sizes(self) -> str:
        """SHA-256 of the sizes of the files that images are in; empty if they are in none."""
        if self.names is None:
            return ""
        sizes = np.array([_size(path) for path in self.images], "<i8")
        return hashlib.sha256(sizes.tobytes()).hexdigest()


def _size(path: Any) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # it is a damaged image, which may be skipped
        return -1


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


def whole(name: str, classes: tuple[str, ...], train: Part, validation: Part) -> Dataset:
    """Return a dataset whose labels have been checked.

    Raises:
        InputError: It has fewer than two classes, an empty part, a label of no class, or a class
            without images to train on.
    """
    if len(classes) < 2:
        raise InputError(f"{shown(name)}: expected two classes or more, found {len(classes)}")
    for kind, part in (("train", train), ("validation", validation)):
        if not len(part):
            raise InputError(f"{shown(name)}: the {kind} part has no images")
        if int(part.labels.max()) >= len(classes) or int(part.labels.min()) < 0:
            raise InputError(
                f"{shown(name)}: a label of the {kind} part is not from 0 to {len(classes) - 1}"
            )
    empty = np.flatnonzero(np.bincount(train.labels, minlength=len(classes)) == 0)
    if len(empty):
        number = int(empty[0])
        count = int((validation.labels == number).sum())
        there = f" (to validate with, there are {count:,})" if count else ""
        raise InputError(
            f"{shown(name)}: no image to train on has the class {number} "
            f"({shown(classes[number])}){there}; add some, or leave the class out"
        )
    return Dataset(name, classes, train, validation)


def shown(path: str | Path) -> str:
    """Return how a message calls a path."""
    return shortened(printable(os.fspath(path)), 200)


def divided(names: Iterable[str]) -> tuple[Array, Array]:
    """Return the numbers of the images to train on, and of those to validate with.

    The latter are a tenth of the images, chosen by their names, so other images do not change that.
    """
    chosen = np.array([_is_validation(name) for name in names], bool)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _is_validation(name: str) -> bool:
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "little") < FRACTION * 2**64
