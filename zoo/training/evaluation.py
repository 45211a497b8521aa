"""Measures how well a model classifies the validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from zoo.backend.devices import ALONE, Group
from zoo.data.stream import Batch, Stream

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation; shares are from 0 to 1.

    Attributes:
        images: How many images there were.
        loss: The mean cross-entropy of the logits.
        top1: The share of images whose class has the largest logit.
        top5: The share of images whose class is among the five largest; None with fewer than six
            classes.
        classes: Top-1 of the images of each class; None for a class without images.
        damaged: Names of the images that could not be read, which are left out.
    """

    images: int
    loss: float
    top1: float
    top5: float | None
    classes: tuple[float | None, ...]
    damaged: tuple[str, ...] = ()


def evaluate(
    predict: Callable[[Array], Any],
    output: str,
    stream: Stream,
    batches: Iterator[Batch],
    num_classes: int,
    *,
    group: Group = ALONE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Run a model on a stream once, in evaluation mode.

    Args:
        predict: Runs the model on images.
        output: The name of the logits among its outputs, if there are several.
        stream: Images as [N, C, H, W], each once: this process's share of them.
        batches: The stream's batches, from its first on. As many as an epoch has are taken.
        num_classes: The number of classes.
        group: The processes whose shares are all images.
        progress: Called with the number of batches that are done, and of all.

    Returns:
        The evaluation. Its numbers are computed in float64.
    """
    total, top5 = 0.0, 0
    right, count = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    damaged = np.zeros(len(stream.part), np.int64)
    for done, batch in enumerate(islice(batches, stream.steps), 1):
        if len(batch.labels):
            outputs = predict(batch.x)
            logits = outputs[output] if isinstance(outputs, dict) else outputs
            indices = stream.indices(done - 1)
            read = np.isin(indices, batch.damaged, invert=True)  # others have another in its place
            damaged[indices[~read]] = 1
            logits, labels = np.asarray(logits, np.float64)[read], batch.labels[read]
            total += float(cross_entropy(logits, labels).sum())
            ranks = rank(logits, labels)
            top5 += int((ranks < 5).sum())
            right += np.bincount(labels[ranks == 0], minlength=num_classes)
            count += np.bincount(labels, minlength=num_classes)
        progress(done, stream.steps)
    sums = group.sum(np.array([total, top5, *right, *count, *damaged], np.float64))
    total, top5 = float(sums[0]), int(sums[1])
    right, count, damaged = np.split(sums[2:].astype(np.int64), [num_classes, 2 * num_classes])
    images = int(count.sum())
    return Evaluation(
        images,
        total / images,
        int(right.sum()) / images,
        top5 / images if num_classes > 5 else None,
        tuple(int(r) / int(n) if n else None for r, n in zip(right, count, strict=True)),
        tuple(stream.part.name(int(index)) for index in np.flatnonzero(damaged)),
    )


def rank(logits: Array, labels: Sequence[int] | Array) -> Array:
    """Return at which place the class of each example is, from 0.

    Of classes with the same logit, the one with the lower number comes first. A logit that is not a
    number is behind all others.

    Example:
        >>> rank(np.array([[3.0, 1.0, 3.0]]), [2])
        array([1])
    """
    values = np.where(np.isnan(logits), -np.inf, logits)
    own = np.take_along_axis(values, np.asarray(labels)[:, None], 1)
    before = np.arange(values.shape[1]) < np.asarray(labels)[:, None]
    ranks: Array = ((values > own) | ((values == own) & before)).sum(1)
    return ranks


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Return the cross-entropy of each example.

    Args:
        logits: [N, classes].
        labels: Class numbers [N].
    """
    shifted = logits - logits.max(1, keepdims=True)
    own = np.take_along_axis(shifted, labels[:, None], 1)[:, 0]
    losses: Array = np.log(np.exp(shifted).sum(1)) - own
    return losses
