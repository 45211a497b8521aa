"""Labeled images in a folder, with a folder of each class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from zoo import arguments
from zoo.data.labeled import TRAIN, VALIDATION, Array, Dataset, Part, is_validation, shown, whole
from zoo.errors import InputError

#: Suffixes of the files that are taken for images; others in a folder are ignored.
SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .jp2 .pgm .png .ppm .tif .tiff .webp .avif".split())


def of_folder(folder: Path) -> Dataset:
    """Read a folder of images, by class."""
    inside = {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    parts = [
        next((inside[name] for name in names if name in inside), None)
        for names in (TRAIN, VALIDATION)
    ]
    if parts[0] is None and parts[1] is None:
        classes, files, labels = _classes_in(folder)
        validation = np.array([is_validation(name) for name, _ in files])
        return whole(str(folder), classes, *_divided(files, labels, validation))
    if parts[0] is None or parts[1] is None:
        present, absent = ("val", "train") if parts[0] is None else ("train", "val")
        raise InputError(
            f"{shown(folder)}: there is a folder {present!r}, but none called {absent!r}"
        )
    classes, files, labels = _classes_in(parts[0])
    others, other_files, other_labels = _classes_in(parts[1])
    if others != classes:
        name = sorted(set(classes) ^ set(others))[0]
        missing = parts[1] if name in classes else parts[0]
        raise InputError(
            f"{shown(missing)}: has no folder for the class {arguments.shown(name)}, and "
            f"{shown(parts[0] if missing is parts[1] else parts[1])} has one"
        )
    parts_of_files = (_part_of_files(files, labels), _part_of_files(other_files, other_labels))
    return whole(str(folder), classes, *parts_of_files)


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
            raise InputError(f"{shown(entry)}: there are no images of this class")
        files += [(path.relative_to(folder).as_posix(), path) for path in images]
        labels += [len(classes)] * len(images)
        classes.append(entry.name)
    if len(classes) < 2:
        found = f"only {arguments.shown(classes[0])}" if classes else "none"
        raise InputError(
            f"{shown(folder)}: expected a folder of images for each of two classes or more, "
            f"found {found}"
        )
    return tuple(classes), files, np.array(labels, np.int64)


def _divided(files: list[tuple[str, Path]], labels: Array, chosen: Array) -> tuple[Part, Part]:
    train, validation = (
        _part_of_files([files[i] for i in np.flatnonzero(mask)], labels[mask])
        for mask in (~chosen, chosen)
    )
    return train, validation


def _part_of_files(files: list[tuple[str, Path]], labels: Array) -> Part:
    return Part([path for _, path in files], labels, [name for name, _ in files])
