"""Labeled images in two columns of a dataset of Hugging Face's library."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zoo import arguments
from zoo.data.labeled import FRACTION, TRAIN, VALIDATION, Array, Dataset, Part, whole
from zoo.data.reading import opened
from zoo.errors import InputError


def of_columns(source: Any, columns: Sequence[str] | None) -> Dataset:
    """Read a dataset of Hugging Face's library."""
    train, validation = _parts_of(source)
    image, label = _columns_of(train.features, columns)
    if validation is None:
        halves = train.train_test_split(test_size=FRACTION, seed=0)
        train, validation = halves["train"], halves["test"]
    pair = [_part_of(rows, image, label) for rows in (train, validation)]
    names = [
        list(getattr(each.features[label], "names", None) or ()) for each in (train, validation)
    ]
    if all(names) and names[0] != names[1]:
        pair[1] = _renumbered(pair[1], *names)
    count = int(pair[0].labels.max(initial=0)) + 1
    return whole("a dataset", tuple(names[0] or map(str, range(count))), *pair)


def _parts_of(source: Any) -> tuple[Any, Any]:
    """Return what to train on, and what to validate with; None if there is nothing else."""
    parts = dict(source) if isinstance(source, Mapping) else {"train": source}
    train, validation = (
        next((parts[name] for name in names if name in parts), None)
        for names in (TRAIN, VALIDATION)
    )
    if train is None:
        raise InputError(
            f"data: there is no part called 'train', only {arguments.shown(list(parts))}"
        )
    for rows in (train, validation):
        if rows is not None and not hasattr(rows, "__len__"):
            raise InputError(
                "data: a stream, whose images cannot be counted or put in another order; load it "
                "without streaming=True"
            )
    if validation is None and (others := sorted(parts.keys() - set(TRAIN))):
        raise InputError(
            f"data: no part is called 'validation' or 'test', and zoo does not use "
            f"{arguments.shown(others)}; pass {{'train': ..., 'validation': ...}}"
        )
    return train, validation


def _part_of(rows: Any, image: str, label: str) -> Part:
    for name in (image, label):
        if name not in rows.features:
            raise InputError(f"data: a part has no column {arguments.shown(name)}")
    kind = getattr(rows, "format", {}).get("type")
    if kind not in (None, "custom"):
        rows = rows.with_format(None)  # as images, and not as tensors with channels first
    feature, labels = rows.features[image], _numbers(rows[label], label)
    if type(feature).__name__ == "Image" and kind != "custom" and hasattr(rows, "cast_column"):
        # zoo decodes them, and names those that it cannot read.
        rows = rows.cast_column(image, type(feature)(decode=False))
    return Part(_Column(rows, image, getattr(feature, "dtype", None)), labels)


def _renumbered(part: Part, names: list[str], own: list[str]) -> Part:
    """Return a part whose class numbers are those of the part to train on."""
    if set(own) - set(names):
        name = sorted(set(own) - set(names))[0]
        raise InputError(
            f"data: the class {arguments.shown(name)} of one part is not among the classes to "
            f"train on, {arguments.shown(names)}"
        )
    if part.labels.min(initial=0) < 0 or part.labels.max(initial=-1) >= len(own):
        return part  # which is refused for that
    places = np.array([names.index(name) for name in own], np.int64)
    return replace(part, labels=places[part.labels])


def _columns_of(features: Mapping[str, Any], given: Any) -> tuple[str, str]:
    """Return the names of the columns of images and of labels."""
    if given is not None:
        names = list(given) if isinstance(given, list | tuple) else []
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise arguments.wrong(
                "columns", "the names of two columns, as in ('image', 'label')", given
            )
        for name in names:
            if name not in features:
                raise InputError(
                    f"columns: there is no column {arguments.shown(name)}, only "
                    f"{', '.join(features)}"
                )
        return names[0], names[1]
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    images = [name for name, kind in kinds.items() if kind in ("Image", "Array2D", "Array3D")]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    if len(images) != 1 or len(labels) != 1:
        raise InputError(
            "data: which columns have images and labels? Give their names, as in "
            f"columns=('image', 'label'); there are {', '.join(kinds)}"
        )
    return images[0], labels[0]


def _numbers(values: Any, label: str) -> Array:
    """Return class numbers, int64 [N]."""
    values = list(values[:])
    if any(value is None for value in values):
        raise InputError(f"data: the column {label!r} has rows without a label")
    labels = arguments.array(f"the column {label!r}", values, "class numbers [N]")
    if labels.dtype.kind in "US":
        raise InputError(
            f"data: the column {label!r} has names of classes, not their numbers; "
            f"class_encode_column({label!r}) numbers them"
        )
    if len(labels) and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
        raise InputError(
            f"data: the column {label!r} has {labels.dtype} {list(labels.shape)}, not a class "
            "number for each image"
        )
    return labels.astype(np.int64)


class _Column(Sequence[Any]):
    """A column of a dataset of Hugging Face's library, read row by row."""

    def __init__(self, rows: Any, name: str, dtype: str | None) -> None:
        self._rows, self._name, self._dtype = rows, name, dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        value = self._rows[int(index)][self._name]
        if isinstance(value, list):  # of an array, which has been stored as lists
            return np.asarray(value, self._dtype)
        if isinstance(value, dict):  # an image that is not decoded
            data = value.get("bytes")
            return opened(io.BytesIO(data), "the image") if data else value.get("path")
        return value
