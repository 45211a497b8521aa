"""What a training run reports while it is running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.training.evaluation import Evaluation


@dataclass(frozen=True)
class Step:
    """A step was made.

    Attributes:
        step: The number of steps made so far.
        steps: How many there are to be.
        epoch: The number of the epoch, from 1.
        epochs: How many there are to be.
        loss: The loss before the update, on the step's batch, in training mode.
        lr: The learning rate.
        images_per_second: Of the steps of this epoch so far, data included.
        loss_scale: What the loss was multiplied by for the gradients; None but in float16.
        skipped: Whether a gradient overflowed in float16, so that no weight was updated.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    lr: float
    images_per_second: float
    loss_scale: float | None = None
    skipped: bool = False


@dataclass(frozen=True)
class Evaluating:
    """A part of the images to validate with was evaluated.

    Attributes:
        done: How many batches of them were.
        total: How many there are.
    """

    done: int
    total: int


@dataclass(frozen=True)
class Epoch:
    """An epoch ended.

    Attributes:
        epoch: Its number, from 1.
        epochs: How many there are to be.
        step: The number of steps made so far.
        train_loss: The mean loss of its steps.
        lr: The learning rate of its last step.
        validation: The evaluation of the model; with moving averages, of these.
        plain: The evaluation of the weights themselves, if there are moving averages.
        best: Whether top-1 is better than in every epoch before.
        seconds: How long it took, evaluation included, since the run was started or resumed.
        images_per_second: Of its steps, data included.
        damaged: How many of its images could not be read, and were replaced by others.
        skipped: How many of its steps updated no weight, as a gradient overflowed in float16.
    """

    epoch: int
    epochs: int
    step: int
    train_loss: float
    lr: float
    validation: Evaluation
    plain: Evaluation | None
    best: bool
    seconds: float
    images_per_second: float
    damaged: int
    skipped: int = 0


Event = Step | Evaluating | Epoch
#: Called with each event; returns True to end the run after the step or epoch, or else False or
#: None.
Callback = Callable[[Event], Any]
