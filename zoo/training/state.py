"""The checkpoints of a training run: one file each, from which any framework can continue.

A checkpoint is a file of weights as ``zoo.save`` writes it, so ``zoo.load`` reads it. It also holds
the slots of the optimizer, the moving averages, and as one JSON text in its metadata all else that
the next step depends on. No state of a random generator is among that: all that is random is
decided by the seed and the number of the step.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import WeightsError
from zoo.files import Caller
from zoo.graphs.graph import Graph
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.reading import zoo_file

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

FORMAT = 1


@dataclass
class State:
    """Where a run is.

    Attributes:
        recipe: Its recipe, as plain data.
        backend: The framework that it is in.
        data: The digests of the images to train on, and to validate with.
        step: How many steps have been made.
        updates: How many of them have updated the weights; all, but in float16.
        loss_scale: The scale of the loss, and for how many updates it has been good; None but in
            float16.
        skipped: How many of this epoch's steps have not.
        loss_sum: The sum of the losses of this epoch's steps, each times its examples.
        best: The best top-1 of an epoch; None before the first.
        best_epoch: The epoch that had it, from 1.
        pending: Whether the last step ended an epoch that has not been evaluated yet.
        images: How many images there are to train on, and to validate with; None if not known.
        sizes: Digests of the sizes of their files; None if not known.
    """

    recipe: Mapping[str, Any]
    backend: str
    data: tuple[str, str]
    step: int = 0
    updates: int = 0
    loss_scale: tuple[float, int] | None = None
    loss_sum: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    pending: bool = False
    skipped: int = 0
    images: tuple[int, int] | None = None
    sizes: tuple[str, str] | None = None
    format: int = field(default=FORMAT, kw_only=True)


@dataclass(frozen=True)
class Saved:
    """An open checkpoint.

    Attributes:
        weights: The network and its weights; use it within ``with weights.verified()``.
        slots: Slots and moving averages by name.
        state: Where the run was.
    """

    weights: Checkpoint
    slots: Mapping[str, Any]
    state: State


def write(
    path: str | os.PathLike[str],
    graph: Graph,
    weights: Mapping[str, Array],
    slots: Mapping[str, Array],
    state: State,
    later: Caller | None = None,
) -> None:
    """Write a checkpoint; an older one of the same name stays whole until it is complete.

    Args:
        path: The file.
        graph: The network.
        weights: Canonical name -> weight.
        slots: Names such as ``momentum/conv1.weight`` -> state of the optimizer.
        state: The state of the run.
        later: As for :func:`zoo.files.replacing`.

    Raises:
        InputError: It cannot be written.
    """
    texts = dataclasses.asdict(state)
    zoo_file.write(path, graph, {**weights, **slots}, json.dumps(texts), later)


def read(path: Path) -> Saved:
    """Open a checkpoint.

    Raises:
        WeightsError: The file is missing or damaged, or is no checkpoint of a run.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    checkpoint, slots, text = zoo_file.read_training(path)
    try:
        state = _state(json.loads(text))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        checkpoint.verify()
        raise WeightsError(
            f"{path}: the state of the run cannot be read; a later version of zoo may have saved it"
        ) from None
    return Saved(checkpoint, slots, state)


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    first, second = map(int, value)
    return first, second


def _state(values: dict[str, Any]) -> State:
    if values.get("format") != FORMAT:
        raise ValueError
    (first, second), sizes = map(str, values["data"]), values.get("sizes")
    scale = values["loss_scale"]
    return State(
        recipe=dict(values["recipe"]),
        backend=str(values["backend"]),
        data=(first, second),
        step=int(values["step"]),
        updates=int(values["updates"]),
        loss_scale=None if scale is None else (float(scale[0]), int(scale[1])),
        loss_sum=float(values["loss_sum"]),
        best=None if values["best"] is None else float(values["best"]),
        best_epoch=int(values["best_epoch"]),
        # What older checkpoints do not have.
        pending=bool(values.get("pending", False)),
        skipped=int(values.get("skipped", 0)),
        images=_pair(values.get("images")),
        sizes=None if sizes is None else (str(sizes[0]), str(sizes[1])),
    )
