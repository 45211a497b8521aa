"""Class numbers as callers give them, to train with or to prove with."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.errors import InputError


def class_numbers(labels: Any, batch: int | None, classes: int) -> Any:
    """Refuse labels that frameworks would take for something else, each in its own way.

    Args:
        labels: [N] or [N, 1]: a list, NumPy's, or a framework's tensor, of which only the shape is
            looked at, for its values may not be known yet.
        batch: N; None while a framework does not know it.
        classes: How many there are.

    Returns:
        The labels, [N].

    Raises:
        InputError: They are no class numbers, one for each example.

    Example:
        >>> class_numbers([[2], [0]], 2, 3)
        array([2, 0])
    """
    if isinstance(labels, list | tuple | int):
        labels = np.asarray(labels)
    shape = list(labels.shape)
    if len(shape) == 2 and shape[1] == 1:
        labels, shape = labels[:, 0], shape[:1]
    if len(shape) != 1 or (batch is not None and shape[0] not in (batch, None)):
        one_hot = "; of one-hot labels take the argmax" if shape[1:] == [classes] else ""
        raise InputError(f"expected labels of shape [{batch}], got {shape}{one_hot}")
    if isinstance(labels, np.ndarray):
        if labels.dtype.kind not in "iu":
            raise InputError(f"expected labels that are integers, got {labels.dtype}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            wrong = next(int(n) for n in labels if not 0 <= n < classes)
            raise InputError(f"expected labels from 0 to {classes - 1}, got {wrong}")
    return labels
