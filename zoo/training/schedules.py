"""Learning rates as functions of the number of the step, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from zoo import arguments
from zoo.errors import InputError, UnknownNameError, suggestion

NAMES = ("constant", "cosine", "step")


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each step; call it with the number of the step, from 0.

    Attributes:
        name: ``constant``; ``cosine``, which falls along half a wave to 0 at ``steps``; or
            ``step``, which is multiplied by ``gamma`` at each of ``milestones``.
        lr: The learning rate after the warm-up.
        steps: How many steps there are.
        warmup: Over how many steps the rate rises in a line to ``lr``, which the first step after
            them has.
        milestones: Numbers of steps.
        gamma: What the rate is multiplied by.

    Sources: Loshchilov and Hutter, SGDR, https://arxiv.org/abs/1608.03983 (cosine);
    Goyal et al., Accurate, Large Minibatch SGD, https://arxiv.org/abs/1706.02677 (warm-up)

    Example:
        >>> rate = Schedule("cosine", 0.1, steps=100, warmup=10)
        >>> rate(0), rate(10), rate(55)
        (0.01, 0.1, 0.05)
    """

    name: str
    lr: float
    steps: int = 0
    warmup: int = 0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        match self.name:
            case "cosine":
                share = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
                return self.lr * 0.5 * (1 + math.cos(math.pi * share))
            case "step":
                return self.lr * self.gamma ** sum(step >= place for place in self.milestones)
            case _:
                return self.lr


def schedule(
    name: str,
    lr: float,
    *,
    steps: int | None = None,
    warmup: int = 0,
    milestones: Sequence[int] = (),
    gamma: float = 0.1,
) -> Schedule:
    """Return the learning rate as a function of the step number.

    Args:
        name: ``constant``; ``cosine``, which falls along half a wave to 0 at ``steps``; or
            ``step``, which is multiplied by ``gamma`` at each of ``milestones``.
        lr: The learning rate after the warm-up.
        steps: The total number of steps; ``cosine`` needs it.
        warmup: The number of steps over which the rate rises linearly to ``lr``.
        milestones: Step numbers, in increasing order.
        gamma: The factor that the rate is multiplied by at each milestone.

    Returns:
        A function of the step number, which counts from 0. PyTorch takes it as
        ``LambdaLR(optimizer, lambda step: rate(step) / lr)``, and Keras as a
        ``LearningRateScheduler`` callback if the steps are epochs.

    Raises:
        UnknownNameError: There is no such schedule.
        InputError: A number is out of range.

    Example:
        >>> rate = schedule("step", 0.1, milestones=(30, 60))
        >>> [round(rate(step), 6) for step in (0, 30, 60)]
        [0.1, 0.01, 0.001]
    """
    if not isinstance(name, str) or name not in NAMES:
        hint = suggestion(name, NAMES) or f". Known: {', '.join(NAMES)}."
        raise UnknownNameError(f"unknown schedule {arguments.shown(name)}{hint}")
    count = arguments.positive("steps", steps)
    warmup = arguments.integer("warmup", warmup)
    if name == "cosine" and count is None:
        raise InputError("the schedule 'cosine' needs steps, the number of all steps")
    if warmup < 0 or (count is not None and warmup > count):
        raise InputError(f"warmup must be from 0 to the number of steps, got {warmup:,}")
    if not isinstance(milestones, list | tuple):
        raise arguments.wrong("milestones", "positive numbers in increasing order", milestones)
    places = tuple(arguments.integer("milestones", place) for place in milestones)
    if list(places) != sorted(set(places)) or any(place < 1 for place in places):
        raise arguments.wrong("milestones", "positive numbers in increasing order", list(places))
    rate, factor = arguments.number("lr", lr), arguments.number("gamma", gamma)
    return Schedule(name, rate, count or 0, warmup, places, factor)
