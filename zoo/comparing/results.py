"""The results of a study as plain data, which can be converted to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Condition:
    """What a run of a study is of; runs that differ only in the backend are compared.

    Attributes:
        model: The network.
        data: The dataset.
        grid: The fields of the recipe that the study varies, such as ``{"lr": 0.05}``.
        native: The names of the switches that are native; those of all others are aligned.
        weights_seed: Random seed of the initial weights.
        order_seed: Random seed of the order, of augmentation and of dropout.
        repeat: Counts runs of which everything else is equal; they differ only if the kernels of
            the framework are not deterministic.
        deterministic: Whether the framework was asked for deterministic kernels.
    """

    model: str
    data: str
    grid: Mapping[str, Any]
    native: frozenset[str]
    weights_seed: int
    order_seed: int
    repeat: int = 0
    deterministic: bool = True


@dataclass(frozen=True)
class Trained:
    """One run of a study that has ended.

    Attributes:
        condition: What it is of.
        backend: The framework that trained it.
        values: The name of each switch -> the value that this run has, aligned or native. Where
            they are equal, aligned and native are the same run.
        top1: The share of the validation images that it classifies correctly, from 0 to 1.
        loss: Their mean cross-entropy.
        classes: Top-1 of the images of each class; None for a class without images.
        images: How many validation images each class has; empty if that is unknown.
        losses: The training loss of each step.
        digests: The sha256 of each batch, of the first steps.
        seconds: Of the training, without the framework's import.
        stopped: ``finished``, or why it has no result: for example, the loss was not finite.
        versions: Package -> version.
        history: Top-1 and loss of the validation images after each epoch.
    """

    condition: Condition
    backend: str
    values: Mapping[str, Any]
    top1: float | None
    loss: float | None
    classes: tuple[float | None, ...] = ()
    losses: tuple[float, ...] = ()
    digests: tuple[str, ...] = ()
    seconds: float | None = None
    stopped: str = "finished"
    versions: Mapping[str, str] = field(default_factory=dict)
    images: tuple[int, ...] = ()
    history: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Proof:
    """That the frameworks train alike: a comparison of their first steps in float64.

    Attributes:
        model: The network.
        data: The dataset.
        grid: The fields of the recipe that the study varies.
        backends: The frameworks.
        steps: How many steps were made.
        error: The largest difference of a weight or a running statistic after any of them, relative
            to the largest of them.
    """

    model: str
    data: str
    grid: Mapping[str, Any]
    backends: tuple[str, ...]
    steps: int
    error: float
