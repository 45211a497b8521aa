"""Checks the class numbers that callers give."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import arguments
from zoo.errors import InputError


def class_numbers(labels: Any, batch: int | None, classes: int, cast: bool = False) -> Any:
    """Check labels, which frameworks would otherwise misinterpret in different ways.

    Args:
        labels: [N] or [N, 1]: a list, a NumPy array, or a framework's tensor. Only the shape and
            dtype of a tensor are checked, because its values may not be known yet.
        batch: N; None if a framework does not know it yet.
        classes: The number of classes.
        cast: Whether the framework may have cast a tensor of labels to floating point.

    Returns:
        The labels as [N]; those of NumPy as int64.

    Raises:
        InputError: The labels are not one class number for each example.

    Example:
        >>> class_numbers([[2], [0]], 2, 3)
        array([2, 0])
    """
    if isinstance(labels, list | tuple | int | np.ndarray):
        labels = arguments.array("labels", labels, "class numbers [N]")
    if not hasattr(labels, "shape"):
        raise arguments.wrong("labels", "class numbers [N]", labels)
    shape = list(labels.shape)
    if len(shape) == 2 and shape[1] == 1:
        labels, shape = labels[:, 0], shape[:1]
    if len(shape) != 1 or (batch is not None and shape[0] not in (batch, None)):
        one_hot = "; take the argmax of one-hot labels" if shape[1:] == [classes] else ""
        raise InputError(f"expected labels of shape [{batch}], got {shape}{one_hot}")
    # A framework would cut off the fractions.
    dtype = str(labels.dtype).rpartition(".")[2].strip("'>")  # of Keras <dtype: 'int32'>
    if not dtype.startswith(("int", "uint")) and (isinstance(labels, np.ndarray) or not cast):
        raise InputError(f"expected labels that are integers, got {dtype}")
    if not isinstance(labels, np.ndarray):
        return labels
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise InputError(f"expected labels from 0 to {classes - 1}, got {wrong[0]}")
    return labels.astype(np.int64)  # PaddlePaddle takes 16 bits without a sign for bfloat16
