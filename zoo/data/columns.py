"""Labeled images in two columns of a dataset of Hugging Face's library."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo import arguments
from zoo.data.labeled import FRACTION, TRAIN, VALIDATION, Array, Dataset, Part, whole
from zoo.errors import InputError


def of_columns(source: Any, columns: Sequence[str] | None) -> Dataset:
    """Read a dataset of Hugging Face's library."""
    parts = dict(source) if isinstance(source, Mapping) else {"train": source}
    train = next((parts[name] for name in TRAIN if name in parts), None)
    validation = next((parts[name] for name in VALIDATION if name in parts), None)
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
    image, label = _columns_of(train.features, columns)
    classes = tuple(getattr(train.features[label], "names", None) or ())
    dtype = getattr(train.features[image], "dtype", None)

    def part(rows: Any) -> Part:
        if getattr(rows, "format", {}).get("type") not in (None, "custom"):
            rows = rows.with_format(None)  # as images, and not as tensors with channels first
        return Part(_Column(rows, image, dtype), _numbers(rows[label], label))

    if validation is None:
        halves = train.train_test_split(test_size=FRACTION, seed=0)
        train, validation = halves["train"], halves["test"]
    first = part(train)
    classes = classes or tuple(map(str, range(int(first.labels.max(initial=0)) + 1)))
    return whole("a dataset", classes, first, part(validation))


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
            return _opened(value) if value.get("bytes") else value.get("path")
        return value


def _opened(image: Mapping[str, Any]) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(image["bytes"]))
    except UnidentifiedImageError:
        raise InputError("cannot be read as an image (no format that Pillow knows)") from None
