"""What the metrics of a run say, as series to draw."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import InputError
from zoo.training import recipe as recipes
from zoo.training.folder import METRICS, RECIPE, read_metrics
from zoo.training.recipe import Recipe


@dataclass(frozen=True)
class Metrics:
    """The metrics of a run.

    Attributes:
        name: The name of its folder.
        recipe: Its recipe.
        backends: Step from which on a framework trained it -> its name.
        steps: Steps in an epoch; 0 if none was completed.
        losses: (step, loss, learning rate) of each step.
        epochs: The lines of the epochs.
        skipped: How many steps updated no weight, as a gradient overflowed in float16.
    """

    name: str
    recipe: Recipe
    backends: Mapping[int, str]
    steps: int
    losses: tuple[tuple[int, float, float], ...]
    epochs: tuple[Mapping[str, Any], ...]
    skipped: int = 0

    @property
    def validated(self) -> str:
        """What the validation is of."""
        return "validation" if self.recipe.ema is None else "validation of the averages"

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The epoch with the best top-1."""
        found = [epoch for epoch in self.epochs if epoch["best"]]
        return found[-1] if found else None


def read(folder: Path) -> Metrics:
    """Read the metrics of a run.

    Raises:
        InputError: There is no run, or its metrics cannot be read.
    """
    if not os.path.isfile(folder / RECIPE):
        raise InputError(f"{folder}: not the folder of a training run: it has no {RECIPE}")
    recipe = recipes.of({}, folder / RECIPE, begun=True)
    lines = read_metrics(folder / METRICS)
    try:
        losses = tuple(
            (int(line["step"]), float(line["loss"]), float(line["lr"]))
            for line in lines
            if "loss" in line
        )
        epochs = tuple(line for line in lines if "validation" in line)
        for epoch in epochs:
            float(epoch["validation"]["top1"]), float(epoch["train_loss"]), bool(epoch["best"])
        backends = {int(line["step"]): str(line["backend"]) for line in lines if "backend" in line}
        steps = int(epochs[0]["step"]) // int(epochs[0]["epoch"]) if epochs else 0
        skipped = sum("loss" in line and bool(line.get("skipped")) for line in lines)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise InputError(f"{folder / METRICS}: a line is not what zoo wrote") from None
    return Metrics(folder.resolve().name, recipe, backends, steps, losses, epochs, skipped)
