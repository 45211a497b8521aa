"""``zoo train``: train a network in a framework, and resume a run in any."""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import completion
from zoo.cli.common import SETTINGS, Format, format_option
from zoo.cli.recipe_options import recipe_options, value_of, with_options
from zoo.cli.status import INTERRUPTED
from zoo.cli.terminal import out, print_json
from zoo.cli.training_progress import Display
from zoo.errors import BackendError, InputError

if TYPE_CHECKING:
    from zoo.training.recipe import Recipe

#: What may be changed when a run is resumed; all else is the run's own.
_OF_RESUMING = frozenset(("epochs", "data"))
_MISSING = re.compile(r"^--([\w-]+): required field is missing$")


@click.command("train", context_settings=SETTINGS)
@click.argument(
    "model", metavar="[MODEL]", required=False, shell_complete=completion.models_or_files
)
@click.option(
    "--backend",
    metavar="NAME",
    help="Framework to train in; with --resume, by default that of the run.",
    shell_complete=completion.completing(completion.backend),
)
@click.option(
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder to write the run to.",
)
@click.option(
    "--recipe",
    "recipe_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A YAML file of settings; options on the command line override them.",
)
@click.option(
    "--resume",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Continue the run in this folder from its latest checkpoint.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=1,
    show_default=True,
    help="Processes that prepare images.",
)
@click.option("--tensorboard", is_flag=True, help="Write events for TensorBoard, too.")
@recipe_options
@format_option(Format.TABLE, Format.JSON)
def train(
    model: str | None,
    backend: str | None,
    output: Path | None,
    recipe_file: Path | None,
    resume: Path | None,
    workers: int,
    tensorboard: bool,
    output_format: Format,
    **settings: Any,
) -> None:
    """Train a model, the same way in each framework, or resume a run in any of them.

    MODEL is a name from 'zoo list', or the path of a YAML file. All frameworks see the same images
    in the same order and update weights by the same rule. The folder of the run has the recipe, the
    metrics and the checkpoints. Options that take weights, such as --weights, take a checkpoint,
    too.
    """
    from zoo.training import train as training

    given = {
        name: value_of(name, value) for name, value in settings.items() if value not in (None, ())
    }
    with Display() as display, ExitStack() as stack:
        callbacks: list[Any] = [display]
        place = resume or output
        if tensorboard and place is not None:
            from zoo.training.tensorboard import TensorBoard

            callbacks.append(stack.enter_context(TensorBoard(place / "tensorboard")))
        if resume is not None:
            _check_resuming(model, output, recipe_file, given)
            epochs = given.get("epochs")
            run = training.resume(
                resume,
                backend=backend,
                data=given.get("data"),
                epochs=epochs if epochs is None else _count(epochs),
                workers=workers,
                callbacks=callbacks,
            )
            folder = resume
        else:
            recipe = _recipe(model, recipe_file, given)
            if backend is None:
                raise InputError("name the framework to train in: --backend")
            if output is None:
                raise InputError("name the folder of the run: --output")
            run = training.start(recipe, backend, output, workers=workers, callbacks=callbacks)
            folder = output
    page = _page(folder)
    if output_format is Format.JSON:
        print_json(
            {
                "folder": str(folder),
                "step": run.step,
                "stopped": run.stopped,
                "page": None if page is None else str(page),
            }
        )
    else:
        out.print(_summary(run, folder), soft_wrap=True, markup=False)
    if run.stopped in signal.Signals.__members__:
        click.get_current_context().exit(INTERRUPTED)


def _recipe(model: str | None, file: Path | None, given: dict[str, Any]) -> Recipe:
    from zoo.training import recipe as recipes

    if model is None and file is None:
        raise InputError("name a model, a --recipe, or a run to --resume")
    try:
        return recipes.of({"model": model, **given}, file)
    except InputError as error:
        raise InputError(_MISSING.sub(r"--\1 is required", with_options(str(error)))) from None


def _page(folder: Path) -> Path | None:
    """Draw the run; None if the libraries for it are not installed."""
    import zoo

    try:
        return zoo.curves(folder)
    except BackendError:
        return None


def _check_resuming(
    model: str | None, output: Path | None, file: Path | None, given: dict[str, Any]
) -> None:
    others = sorted(given.keys() - _OF_RESUMING)
    if model or output or file or others:
        named = (
            "a model"
            if model
            else "--output"
            if output
            else "--recipe"
            if file
            else f"--{others[0].replace('_', '-')}"
        )
        raise InputError(
            f"--resume continues a run with its own recipe, so {named} cannot be given; start "
            "another run with it"
        )


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise InputError(f"--epochs must be an integer of at least 1, got {value!r:.60}")
    return value


def _summary(run: Any, folder: Path) -> str:
    if run.stopped in signal.Signals.__members__:
        return f"stopped after step {run.step:,}; resume with: zoo train --resume {folder}"
    best = max(run.epochs, key=lambda epoch: epoch.validation.top1, default=None)
    reason = {"patience": "no better top-1 for --patience epochs; "}.get(run.stopped, "")
    if best is None:
        return f"{reason}{run.step:,} steps; {folder}"
    return (
        f"{reason}{run.step:,} steps; best top-1 {best.validation.top1:.2%} "
        f"(epoch {best.epoch}): {folder}/best.safetensors"
    )
