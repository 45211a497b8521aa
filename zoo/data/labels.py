"""Checks the class numbers that callers give."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.errors import InputError


def class_numbers(labels: Any, batch: int | None, classes: int) -> Any:
    """Check labels, which frameworks would otherwise misinterpret in different ways.

    Args:
        labels: [N] or [N, 1]: a list, a NumPy array, or a framework's tensor. Only the shape of a
            tensor is checked, because its values may not be known yet.
        batch: N; None if a framework does not know it yet.
        classes: The number of classes.

    Returns:
        The labels as [N].

    Raises:
        InputError: The labels are not one class number for each example.

    Example:
        >>> class_numbers([[2], [0]], 2, 3)
        array([2, 0])
    """
    if isinstance(labels, list | tuple | int):
        labels = np.asarray(labels)
    if not hasattr(labels, "shape"):
        raise InputError(f"expected labels, got {type(labels).__name__}")
    shape = list(labels.shape)
    if len(shape) == 2 and shape[1] == 1:
        labels, shape = labels[:, 0], shape[:1]
    if len(shape) != 1 or (batch is not None and shape[0] not in (batch, None)):
        one_hot = "; take the argmax of one-hot labels" if shape[1:] == [classes] else ""
        raise InputError(f"expected labels of shape [{batch}], got {shape}{one_hot}")
    if isinstance(labels, np.ndarray):
        if labels.dtype.kind not in "iu":
            raise InputError(f"expected labels that are integers, got {labels.dtype}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            wrong = next(int(n) for n in labels if not 0 <= n < classes)
            raise InputError(f"expected labels from 0 to {classes - 1}, got {wrong}")
    return labels
