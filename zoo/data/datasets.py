"""Opens labeled images: published datasets, folders, arrays, and those of other libraries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo import arguments
from zoo.data.arrays import of_arrays, of_file
from zoo.data.columns import of_columns
from zoo.data.image_folder import of_folder
from zoo.data.labeled import Dataset
from zoo.data.published import PUBLISHED
from zoo.errors import InputError, UnknownNameError, suggestion


def dataset(source: Any, columns: Sequence[str] | None = None) -> Dataset:
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
            - a dict of such arrays; or ``((x_train, y_train), (x_test, y_test))``, as Keras loads
              its datasets, or ``(images, labels)``;
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
    if _has_columns(source) or (
        isinstance(source, Mapping) and source and all(map(_has_columns, source.values()))
    ):
        return of_columns(source, columns)
    if isinstance(source, Mapping) and all(isinstance(name, str) for name in source):
        return of_arrays("arrays", source)
    if isinstance(source, tuple) and len(source) == 2:
        return _of_pairs(*source)
    if isinstance(source, str) and source.lower() in PUBLISHED:
        return PUBLISHED[source.lower()].read()
    path = arguments.path("data", source, "the name of a dataset, a folder, a file or arrays")
    if os.path.isdir(path):
        return of_folder(Path(path))
    if os.path.isfile(path):
        return of_file(Path(path))
    hint = suggestion(os.fspath(path), PUBLISHED) or f". Known: {', '.join(PUBLISHED)}."
    raise UnknownNameError(
        f"data: no such folder, file or dataset: {arguments.shown(os.fspath(path))}{hint}"
    )


def _has_columns(value: Any) -> bool:
    """Tell whether a value is a dataset of Hugging Face's library, also one that is streamed."""
    features = getattr(value, "features", None)
    return isinstance(features, Mapping) or type(value).__module__.startswith("datasets.")


def _of_pairs(first: Any, second: Any) -> Dataset:
    """Take images and labels, or a pair of them to train on and one to validate with."""
    parts = [part for part in (first, second) if isinstance(part, tuple)]
    if not parts:
        return of_arrays("arrays", {"images": first, "labels": second})
    if len(parts) != 2 or any(len(part) != 2 for part in parts):
        raise InputError(
            "data: expected (images, labels), or (images, labels) to train on and (images, labels) "
            "to validate with"
        )
    names = (("x_train", "y_train"), ("x_test", "y_test"))
    pairs = (zip(own, part, strict=True) for own, part in zip(names, parts, strict=True))
    return of_arrays("arrays", {name: array for pair in pairs for name, array in pair})
