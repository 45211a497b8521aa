"""Labeled images in a folder, with a folder of each class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zoo import arguments
from zoo.data.labeled import TRAIN, VALIDATION, Array, Dataset, Part, divided, shown, whole
from zoo.errors import InputError

#: Suffixes of the files that are taken for images; others in a folder are ignored.
SUFFIXES = frozenset(
    ".apng .avif .bmp .gif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff "
    ".webp".split()
)


#: Files in a folder that Hugging Face's library has saved.
_SAVED = ("dataset_dict.json", "dataset_info.json")


def of_folder(folder: Path) -> Dataset:
    """Read a folder of images, by class."""
    inside = {entry.name.lower(): entry for entry in _folders(folder)}
    train, validation = (
        next((inside[name] for name in names if name in inside), None)
        for names in (TRAIN, VALIDATION)
    )
    if train is None and validation is None:
        classes, files, labels = _classes_in(folder)
        pair = (
            _part_of_files([files[i] for i in numbers], labels[numbers])
            for numbers in divided(name for name, _ in files)
        )
        return whole(str(folder), classes, *pair)
    if train is None or validation is None:
        present = (train or validation or folder).name
        absent = "val" if train else "train"
        raise InputError(
            f"{shown(folder)}: there is a folder {arguments.shown(present)}, but none called "
            f"{absent!r}"
        )
    classes, files, labels = _classes_in(train)
    others, other_files, other_labels = _classes_in(validation)
    if others != classes:
        name = sorted(set(classes) ^ set(others))[0]
        missing = validation if name in classes else train
        raise InputError(
            f"{shown(missing)}: has no folder for the class {arguments.shown(name)}, and "
            f"{shown(train if missing is validation else validation)} has one"
        )
    parts_of_files = (_part_of_files(files, labels), _part_of_files(other_files, other_labels))
    return whole(str(folder), classes, *parts_of_files)


def _classes_in(folder: Path) -> tuple[tuple[str, ...], list[tuple[str, Path]], Array]:
    """Return the names of classes; names and paths of images; and labels."""
    classes: list[str] = []
    files: list[tuple[str, Path]] = []
    labels: list[int] = []
    for entry in _folders(folder):
        images = sorted(_files(entry, SUFFIXES), key=os.fsencode)
        if not images:
            others = sorted({path.suffix.lower() for path in _files(entry)} - {""})
            only = f", only files with the ending {', '.join(others[:5])}" if others else ""
            raise InputError(f"{shown(entry)}: there are no images of this class{only}")
        files += [(path.relative_to(folder).as_posix(), path) for path in images]
        labels += [len(classes)] * len(images)
        classes.append(entry.name)
    if len(classes) < 2:
        found = f"only {arguments.shown(classes[0])}" if classes else "none"
        saved = any((folder / name).is_file() for name in _SAVED)
        hint = "; datasets.load_from_disk opens it, and zoo takes what it returns" * saved
        raise InputError(
            f"{shown(folder)}: expected a folder of images for each of two classes or more, "
            f"found {found}{hint}"
        )
    return tuple(classes), files, np.array(labels, np.int64)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in one, in the order of their names."""
    found = (entry for entry in folder.iterdir() if not _is_hidden(entry.name) and entry.is_dir())
    return sorted(found, key=lambda entry: os.fsencode(entry.name))


def _files(folder: Path, suffixes: frozenset[str] | None = None) -> Iterator[Path]:
    """Yield the files in a folder and in those inside of it; a link to a folder counts as one."""
    seen = {_identity(parent) for parent in folder.resolve().parents}  # a link may lead back
    for place, inside, names in os.walk(folder, followlinks=True):
        if _identity(place) in seen:
            inside.clear()
            continue
        seen.add(_identity(place))
        inside[:] = [name for name in inside if not _is_hidden(name)]
        for name in names:
            path = Path(place, name)
            if not _is_hidden(name) and (suffixes is None or path.suffix.lower() in suffixes):
                yield path


def _identity(folder: str | Path) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _is_hidden(name: str) -> bool:
    """Tell whether programs wrote it for themselves, as copies of images in notebooks' folders."""
    return name.startswith(".") or name == "__MACOSX"


def _part_of_files(files: list[tuple[str, Path]], labels: Array) -> Part:
    return Part([path for _, path in files], labels, [name for name, _ in files])
