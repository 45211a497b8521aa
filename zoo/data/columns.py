"""Labeled images in two columns of a dataset of Hugging Face's library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo import arguments
from zoo.data.labeled import FRACTION, TRAIN, VALIDATION, Dataset, Part, whole
from zoo.errors import InputError


def of_columns(source: Any, columns: tuple[str, str] | None) -> Dataset:
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
    first = part(train)
    classes = classes or tuple(map(str, range(int(first.labels.max(initial=0)) + 1)))
    return whole("a dataset", classes, first, part(validation))


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
