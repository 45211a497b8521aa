"""The images of a study: those of a dataset, or as many of them as fit the time there is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.data.datasets import dataset
from zoo.data.labeled import Dataset, Part
from zoo.errors import InputError


def opened(source: str, train: int | None, validation: int | None) -> Dataset:
    """Open a dataset, and keep some of its images.

    Args:
        source: As for :func:`zoo.dataset`.
        train: How many to train on; None for all. They are the first of a permutation, which
            depends on their number alone, so that fewer are a part of more.
        validation: How many to validate with.

    Raises:
        UnknownNameError: There is no such dataset.
        InputError: It cannot be read, or has fewer images.

    Example:
        >>> opened("digits", 100, None)
        <digits: 100 to train on, 190 to validate with, 10 classes>
    """
    found = dataset(source)
    return Dataset(
        found.name,
        found.classes,
        _part(found.train, train, "train_images", source),
        _part(found.validation, validation, "validation_images", source),
    )


def are_resized(data: Dataset, size: tuple[int, int], preprocessing: Mapping[str, Any]) -> bool:
    """Tell whether images are resized to the size of an input, as far as that is known."""
    images = data.train.images
    if not isinstance(images, np.ndarray):
        return True  # files, each of a size of its own
    return tuple(images.shape[1:3]) != size or preprocessing["crop"] != 1


def _part(part: Part, count: int | None, field: str, source: str) -> Part:
    if count is None:
        return part
    if count > len(part):
        raise InputError(f"{field}: {source} has {len(part):,} images there, got {count:,}")
    key = int.from_bytes(hashlib.sha256(b"images of a study").digest()[:16], "little")
    order = np.argsort(np.random.Philox(key=key).random_raw(len(part)), kind="stable")
    kept = np.sort(order[:count])
    images = part.images
    return replace(
        part,
        images=images[kept] if isinstance(images, np.ndarray) else [images[i] for i in kept],
        labels=part.labels[kept],
        names=[part.names[i] for i in kept] if part.names else None,
        numbers=kept if part.numbers is None else part.numbers[kept],
    )
