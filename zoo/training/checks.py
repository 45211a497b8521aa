"""What the data, the network and the devices of a run must have in common."""

from __future__ import annotations

import warnings

import numpy as np

from zoo.backend.base import Backend
from zoo.backend.devices import Group
from zoo.data.labeled import Dataset, shown
from zoo.errors import InputError, ZooWarning
from zoo.graphs.graph import Graph
from zoo.training.recipe import Recipe
from zoo.training.state import State


def check_classes(graph: Graph, data: Dataset) -> None:
    """Check that a network was built for the classes of the data; warn of one without images.

    Raises:
        InputError: It was built for another number.
    """
    wanted, has = len(data.classes), graph.options["num_classes"]
    if has != wanted:
        raise InputError(
            f"the data ({data.name}) has {wanted} classes and the model {has}; build it with "
            f"num_classes={wanted}, or call zoo.reset_head(model, {wanted})"
        )
    if missing := set(range(wanted)) - set(data.validation.labels.tolist()):
        name = data.classes[min(missing)]
        warnings.warn(
            ZooWarning(f"{data.name} has no image of the class {name} to validate with"),
            stacklevel=2,
        )


def check_outputs(graph: Graph, data: Dataset) -> None:
    """Check that a network computes a logit for each class.

    Raises:
        InputError: An output has another size, whatever the option ``num_classes`` is.
    """
    wanted = len(data.classes)
    for output, node in graph.output_nodes.items():
        if node.shape != (wanted,):
            raise InputError(
                f"the data ({data.name}) has {wanted} classes, and the output {output!r} of "
                f"{graph.name} has {node.shape[0]} features; write out_features: $num_classes in "
                "its spec"
            )


def check_images(data: str, before: State, now: State) -> None:
    """Check that the images are those that a run began with.

    Args:
        data: What they are called.
        before: The state of the run.
        now: The state of one that begins with these images.

    Raises:
        InputError: They are others.
    """
    for number, kind in enumerate(("training", "validation")):
        if before.data[number] == now.data[number]:
            continue
        counts = ""
        if before.images and now.images and before.images[number] != now.images[number]:
            there, here = before.images[number], now.images[number]
            counts = f" (there were {there:,}, now there are {here:,})"
        raise InputError(
            f"{shown(data)}: its {kind} images, their names or labels, are not those of the "
            f"run{counts}; restore them, or pass the data that the run was trained on (--data, or "
            "data= in zoo.resume)"
        )


def warn_of_changes(data: str, before: State, now: State) -> None:
    """Warn of files of images that have changed, which is no error: they may have been repaired.

    The arguments are those of :func:`check_images`.
    """
    if before.sizes not in (None, now.sizes):
        warnings.warn(
            ZooWarning(
                f"{shown(data)}: files of images have other sizes than when the run began; unless "
                "you have only repaired damaged images, start another run"
            ),
            stacklevel=2,
        )


def check_devices(backend: Backend, recipe: Recipe, group: Group) -> None:
    """Check that a batch can be divided among the devices.

    Raises:
        InputError: It cannot.
    """
    devices, title = group.devices, backend.description.title
    parts = [recipe.batch_size]
    if recipe.accumulate > 1:
        parts = [len(part) for part in np.array_split(np.arange(parts[0]), recipe.accumulate)]
    if min(parts) < devices:
        raise InputError(
            f"batch_size must be at least {recipe.accumulate * devices}, for {devices} devices and "
            f"accumulate {recipe.accumulate}, got {recipe.batch_size}"
        )
    if group.even and any(part % devices for part in parts):
        raise InputError(
            f"{title} needs the same number of images on each device: batch_size must be a "
            f"multiple of {recipe.accumulate * devices}, for {devices} devices and accumulate "
            f"{recipe.accumulate}, got {recipe.batch_size}"
        )
