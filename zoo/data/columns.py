"""Labeled images in two columns of a dataset of Hugging Face's library."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zoo import arguments
from zoo.data.labeled import TRAIN, VALIDATION, Array, Dataset, Part, divided, whole
from zoo.data.reading import opened
from zoo.errors import InputError


def of_columns(source: Any, columns: Sequence[str] | None) -> Dataset:
    """Read a dataset of Hugging Face's library."""
    parts = _parts_of(source)
    features = next(iter(parts.values())).features
    image, label = _columns_of(features, columns)
    pair = [_part_of(title, rows, image, label) for title, rows in parts.items()]
    names = [list(getattr(rows.features[label], "names", None) or ()) for rows in parts.values()]
    if len(pair) == 1:
        pair = [_some(pair[0], numbers) for numbers in divided(map(str, range(len(pair[0]))))]
    elif all(names) and names[0] != names[1]:
        pair[1] = _renumbered(pair[1], *names)
    count = int(pair[0].labels.max(initial=0)) + 1
    return whole("a dataset", tuple(names[0] or map(str, range(count))), *pair)


def _parts_of(source: Any) -> dict[str, Any]:
    """Return what to train on and what to validate with by their names, or one part for both."""
    parts = dict(source) if isinstance(source, Mapping) else {"": source}
    titles = [next((n for n in names if n in parts), None) for names in (("", *TRAIN), VALIDATION)]
    if titles[0] is None:
        raise InputError(
            f"data: there is no part called 'train', only {arguments.shown(list(parts))}"
        )
    found = {title: parts[title] for title in titles if title is not None}
    for rows in found.values():
        if not hasattr(rows, "__len__"):
            raise InputError(
                "data: a stream, whose images cannot be counted or put in another order; load it "
                "without streaming=True"
            )
    if len(found) == 1 and (others := sorted(parts.keys() - {"", *TRAIN})):
        raise InputError(
            f"data: no part is called 'validation' or 'test', and zoo does not use "
            f"{arguments.shown(others)}; pass {{'train': ..., 'validation': ...}}"
        )
    return found


def _part_of(title: str, rows: Any, image: str, label: str) -> Part:
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
    images = _Column(rows, image, getattr(feature, "dtype", None), np.arange(len(labels)))
    return Part(images, labels, title=title, paths=_Paths(images))


def _some(part: Part, numbers: Array) -> Part:
    """Return some of the images of a part."""
    assert isinstance(part.images, _Column)
    images = replace(part.images, numbers=numbers)
    labels = part.labels[numbers]
    return replace(part, images=images, labels=labels, numbers=numbers, paths=_Paths(images))


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


@dataclass(frozen=True)
class _Column(Sequence[Any]):
    """The images of some rows of a dataset of Hugging Face's library, read row by row."""

    rows: Any
    name: str
    dtype: str | None
    numbers: Array

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        value = self.stored(index)
        if isinstance(value, list):  # of an array, which has been stored as lists
            return np.asarray(value, self.dtype)
        if isinstance(value, dict):  # an image that is not decoded
            data = value.get("bytes")
            return opened(io.BytesIO(data), "the image") if data else value.get("path")
        return value

    def stored(self, index: Any) -> Any:
        """Return what a row has."""
        return self.rows[int(self.numbers[index])][self.name]


@dataclass(frozen=True)
class _Paths(Sequence[str]):
    """Where the images of a column come from, if they are not decoded and have been read there."""

    images: _Column

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        value = self.images.stored(index)
        is_file = isinstance(value, dict) and value.get("bytes")
        return str(value.get("path") or "") if is_file else ""
