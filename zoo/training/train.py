"""The functions that train a model, and that resume a run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from zoo import arguments
from zoo.api import checkpoints
from zoo.api.models import build
from zoo.api.networks import check_trainable
from zoo.backend import registry
from zoo.backend.unwrapping import find_built
from zoo.data.datasets import dataset
from zoo.data.labeled import Dataset
from zoo.errors import BackendError, InputError, UnknownNameError, WeightsError
from zoo.graphs.graph import Graph
from zoo.training import recipe as recipes
from zoo.training import state as states
from zoo.training.events import Callback
from zoo.training.folder import RECIPE, Folder
from zoo.training.freezing import frozen
from zoo.training.loop import Loop, Run
from zoo.training.recipe import Recipe

Location = str | os.PathLike[str]

#: The settings that may change when a run is resumed.
CHANGEABLE = ("epochs", "patience", "skip_damaged")


class Settings(TypedDict, total=False):
    """The settings of :func:`train` that have a default, as in a recipe."""

    batch_size: int
    accumulate: int
    augmentation: str
    skip_damaged: bool
    seed: int
    optimizer: str
    momentum: float
    nesterov: bool
    beta1: float
    beta2: float
    alpha: float
    eps: float
    weight_decay: float
    decay: str
    schedule: str
    warmup: float
    milestones: Sequence[int]
    gamma: float
    label_smoothing: float
    clip_norm: float | None
    ema: float | None
    freeze: Sequence[str]
    precision: str
    sync_batch_norm: bool
    compile: bool
    patience: int | None
    checkpoint_every: int
    keep: int


def train(
    model: Any,
    data: Any,
    *,
    epochs: int,
    lr: float,
    output: Location | None = None,
    devices: int | None = None,
    workers: int = 0,
    callbacks: Iterable[Callback] = (),
    **settings: Unpack[Settings],
) -> Run:
    """Train a model in its framework, in the same way as in every other.

    Every framework sees the same images in the same order, drops the same values in dropout and
    updates weights by the same rule, with its own fast kernels.

    Args:
        model: A model that zoo built. It is trained in place. Parameters that the framework does
            not train, for example without ``requires_grad``, are kept; they are added to
            ``freeze``, so that :func:`resume` keeps them, too.
        data: As for :func:`dataset`.
        epochs: The number of passes over the images.
        lr: Learning rate.
        output: A folder for the recipe, metrics and checkpoints, from which :func:`resume`
            continues; None to write nothing.
        devices: The number of devices, which share each batch; by default, those that the
            framework's launcher has started, such as ``torchrun``, or one.
        workers: Processes that prepare images ahead of time; with 0, this process prepares them.
        callbacks: Functions that are called with each step, evaluation and epoch; see
            ``zoo.training.events``. If one returns True, training ends; the others return False
            or None.
        **settings: As in a recipe: ``batch_size`` (64), ``optimizer`` (``sgd``), ``momentum``,
            ``weight_decay``, ``schedule``, ``augmentation``, ``label_smoothing``, ``ema``,
            ``freeze``, ``precision`` and others; ``zoo train --help`` lists them all.

    Returns:
        The run, with the model and the metrics of each epoch. A run that Ctrl-C or SIGTERM ends
        returns, too, after the step that is being made; ``stopped`` has the name of the signal.

    Raises:
        InputError: A setting, the data or the folder cannot be used; or a callback returns
            something else.
        UnknownNameError: There is no such dataset, or nothing that a pattern of ``freeze`` matches.
        BackendError: The model was not built by zoo, or the framework cannot train it with these
            settings.
        TrainingError: The loss is not finite. The error names the step and the node.

    Example:
        >>> import zoo
        >>> model = zoo.build("lenet5", "torch")
        >>> run = zoo.train(model, "digits", epochs=2, lr=0.05, momentum=0.9, warmup=1)
        >>> run.epochs[-1].validation.top1 > 0.8
        True
    """
    _check_settings(settings)
    backend, inner, network = find_built(model)
    check_trainable(backend, inner, network)
    found = dataset(data)
    options = network.options
    recipe = recipes.of(
        {
            "model": network.name,
            "data": found.name,
            "aux": options["aux"],
            "in_channels": options["in_channels"],
            "input_size": list(options["input_size"]),
            "dtype": _dtype(backend, inner),
            "epochs": epochs,
            "lr": lr,
            **{key: _plain(value) for key, value in settings.items()},
        }
    )
    recipe = _with_frozen(recipe, network, backend.frozen(inner))
    with closing(backend.group(_devices(devices))) as group:
        loop = Loop(
            backend,
            inner,
            found,
            recipe,
            group=group,
            workers=_workers(workers),
            callbacks=callbacks,
        )
        return _run(loop, output)


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Reject settings that a model has already, of which a recipe tells how it is built.

    Raises:
        InputError: There is one.
    """
    for name in settings.keys() & Recipe.fields.keys() - Settings.__annotations__.keys():
        raise InputError(f"{name}: the model is built already; pass {name} to zoo.build instead")


def _with_frozen(recipe: Recipe, network: Graph, names: Collection[str]) -> Recipe:
    """Return a recipe that also freezes parameters that the framework does not train.

    A model that is built again, in any framework, does not have that switch.
    """
    known = frozen(network, recipe.freeze)
    more = [p.name for p in network.parameters if p.name in names and p.name not in known]
    return recipes.of({**recipe.to_dict(), "freeze": [*recipe.freeze, *more]}) if more else recipe


def start(
    recipe: Recipe,
    backend: str,
    output: Location | None = None,
    *,
    devices: int | None = None,
    workers: int = 0,
    callbacks: Iterable[Callback] = (),
) -> Run:
    """Build the network of a recipe in a framework, and train it; see :func:`train`."""
    found, loaded = dataset(recipe.data), registry.load(backend)
    size = recipe.input_size
    with closing(loaded.group(_devices(devices))) as group:
        model = build(
            recipe.model,
            backend,
            aux=recipe.aux,
            num_classes=len(found.classes),
            classes=found.classes,
            in_channels=recipe.in_channels,
            input_size=(size[0], size[1]) if isinstance(size, list) else size,
            seed=recipe.seed,
            init=recipe.init,
            dtype=recipe.dtype,
            weights=recipe.weights,
            head=recipe.head,
        )
        loop = Loop(
            loaded,
            model,
            found,
            recipe,
            group=group,
            workers=_workers(workers),
            callbacks=callbacks,
        )
        return _run(loop, output)


def resume(
    folder: Location,
    *,
    backend: str | None = None,
    data: Any = None,
    epochs: int | None = None,
    patience: int | None = None,
    skip_damaged: bool | None = None,
    devices: int | None = None,
    workers: int = 0,
    callbacks: Iterable[Callback] = (),
) -> Run:
    """Continue a run from its latest checkpoint, in the same framework or in another one.

    In the same framework, on a CPU, the result equals that of an uninterrupted run, bit for bit. In
    another one, it differs by rounding.

    Args:
        folder: The ``output`` of :func:`train`.
        backend: The framework to continue in; by default, the one that wrote the checkpoint.
        data: The images, if :func:`train` was not given the name or path of a dataset.
        epochs: The total number of epochs, if that has changed. Schedules that depend
            on the number of steps change with it.
        patience: The number of epochs without a better top-1 after which to stop, if that has
            changed. A run that ended for this reason continues with a larger number.
        skip_damaged: Whether to go on without images that cannot be read, if that has changed.
        devices: As for :func:`train`.
        workers: As for :func:`train`.
        callbacks: As for :func:`train`.

    Returns:
        The run, with the epochs that were completed since.

    Raises:
        InputError: There is no run in the folder, it is complete, or another process is using it.
        WeightsError: The checkpoint is damaged.
        UnknownNameError, BackendError, TrainingError: As for :func:`train`.

    Example:
        >>> import tempfile, zoo
        >>> folder = tempfile.mkdtemp() + "/run"
        >>> model = zoo.build("lenet5", "torch")
        >>> stop = lambda event: getattr(event, "step", 0) == 30
        >>> zoo.train(model, "digits", epochs=2, lr=0.05, output=folder, callbacks=[stop]).step
        30
        >>> zoo.resume(folder).step
        50
    """
    path = Path(arguments.path("folder", folder, "the path of a folder"))
    name = backend_of(path) if backend is None else backend
    loaded = registry.load(name)
    with (
        closing(loaded.group(_devices(devices))) as group,
        Folder.existing(path, reading=group.rank > 0) as opened,
    ):
        saved = _last(opened)
        recipe = _current(opened, recipes.of(saved.state.recipe, begun=True))
        changed = {"epochs": epochs, "patience": patience, "skip_damaged": skip_damaged}
        given = {name: value for name, value in changed.items() if value is not None}
        recipe = recipes.of({**recipe.to_dict(), **given}, begun=True)
        images = dataset(data) if data is not None else _data_of(recipe)
        with _verified(saved, opened):
            network = saved.weights.graph()
            if len(images.classes) != network.options["num_classes"]:
                raise InputError(
                    f"data: {images.name} has {len(images.classes)} classes, and the images of "
                    f"this run had {network.options['num_classes']}; with others, start another "
                    f"run from the weights in {opened.checkpoints()[-1]}"
                )
            model = checkpoints.build(network, saved.weights, name, dtype=recipe.dtype)
            try:
                loop = Loop(
                    loaded,
                    model,
                    images,
                    recipe,
                    group=group,
                    folder=None if group.rank else opened,
                    workers=_workers(workers),
                    callbacks=callbacks,
                )
            except BackendError as error:
                before = saved.state.backend
                other = f"resume this one in {before}, or " if before != name else ""
                raise BackendError(
                    f"{error}. A run keeps its settings: {other}start another run from the weights "
                    f"in {opened.checkpoints()[-1]}"
                ) from None
            loop.resume(saved)
        _check_unfinished(path, loop)
        group.sum(np.zeros(1))  # until all processes have read the folder
        if not group.rank:
            opened.forget(loop.state.step, evaluated=not loop.state.pending)
            opened.write_recipe(recipe)
        return loop.run()


def _check_unfinished(folder: Path, loop: Loop) -> None:
    """Check that a run that is resumed has something left to do.

    Raises:
        InputError: It has ended.
    """
    epoch, best = loop.state.step // loop.train.steps, loop.state.best_epoch
    reasons, needed = [], []
    if loop.state.step >= loop.steps and not loop.state.pending:
        reasons, needed = [f"has already reached epoch {epoch}"], ["more epochs"]
    if loop.is_impatient:
        reasons += [f"ended after epoch {epoch}, because no top-1 was better than that of {best}"]
        needed += [f"a patience of more than {epoch - best}"]
    if needed:
        raise InputError(
            f"{folder}: the run {' and '.join(reasons)}; to continue it, pass "
            f"{' and '.join(needed)}"
        )


def backend_of(folder: Path) -> str:
    """Return the framework that wrote the last checkpoint of a run.

    Raises:
        InputError: There is no run in the folder.
        WeightsError: The checkpoint is damaged.
    """
    with Folder.existing(folder, reading=True) as opened:
        if not opened.checkpoints():
            with Folder.existing(folder):  # or another process has just begun the run
                pass
        return _last(opened).state.backend


def _last(folder: Folder) -> states.Saved:
    """Read the last checkpoint of a run.

    Raises:
        InputError: There is none.
        WeightsError: It is damaged.
    """
    checkpoints = folder.checkpoints()
    if not checkpoints:
        raise InputError(
            f"{folder.path}: the run ended before its first checkpoint; start it again in another "
            "folder"
        )
    try:
        return states.read(checkpoints[-1])
    except WeightsError as error:
        raise _damaged(folder, error) from None


@contextmanager
def _verified(saved: states.Saved, folder: Folder) -> Iterator[None]:
    """Verify a checkpoint after its use; if it is damaged, the error says what to do."""

    def verify() -> None:
        try:
            saved.weights.verify()
        except WeightsError as error:
            raise _damaged(folder, error) from None

    with replace(saved.weights, verify=verify).verified():
        yield


def _damaged(folder: Folder, error: WeightsError) -> WeightsError:
    """Return the error with what to do about it."""
    *before, _ = folder.checkpoints()
    hint = f"; delete the file to continue from {before[-1].name}" if before else ""
    return WeightsError(f"{error}{hint}")


def _run(loop: Loop, output: Location | None) -> Run:
    """Train from the beginning, and write to a new folder if one is given."""
    if output is None or loop.group.rank:
        return loop.run()
    path = Path(arguments.path("output", output, "the path of a folder"))
    with Folder.new(path, loop.recipe) as folder:
        loop.folder = folder
        return loop.run()


def _current(folder: Folder, recipe: Recipe) -> Recipe:
    """Return a run's recipe, of which the folder has what was changed on resuming.

    Raises:
        InputError: Something else was changed after the run began: it would not be what happened.
    """
    written = recipes.of({}, folder.path / RECIPE, begun=True)
    changed = {name: getattr(written, name) for name in CHANGEABLE}
    here, there = written.to_dict(), {**recipe.to_dict(), **changed}
    if different := [key for key in there if here.get(key) != there[key]]:
        *before, last = folder.checkpoints()
        others = f", delete {last.name} if it is of another run," if before else ""
        raise InputError(
            f"{folder.path / RECIPE}: {' and '.join(different)} changed since the run began, or "
            f"{last.name} is of another run; undo that{others} or start another run with the recipe"
        )
    return written


def _data_of(recipe: Recipe) -> Dataset:
    """Open the images of a run by their name.

    Raises:
        InputError: They cannot be opened so.
    """
    try:
        return dataset(recipe.data)
    except UnknownNameError:
        raise InputError(
            f"the data of the run, {recipe.data!r}, is no dataset, folder or file; pass the data "
            "that it was trained on (--data, or data= in zoo.resume)"
        ) from None


def _dtype(backend: Any, model: Any) -> str:
    arrays = backend.get_weights(model)
    name = next((array.dtype.name for array in arrays.values()), "float32")
    if name not in ("float32", "float64"):
        raise InputError(
            f"cannot train weights of {name}: build the model in float32, and pass "
            f"precision={name!r}"
        )
    return name


def _workers(value: object) -> int:
    count = arguments.integer("workers", value)
    if not 0 <= count <= 256:
        raise arguments.wrong("workers", "an integer from 0 to 256", value)
    return count


def _devices(value: object) -> int | None:
    if value is None:
        return None
    count = arguments.integer("devices", value)
    if not 1 <= count <= 1024:
        raise arguments.wrong("devices", "an integer from 1 to 1024", value)
    return count


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
