"""``zoo train``: train a network in a framework, and resume a run in any."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import completion
from zoo.cli.common import SETTINGS, Format, format_option, output_option
from zoo.cli.recipe_options import recipe_options, value_of, with_options
from zoo.cli.status import INTERRUPTED
from zoo.cli.terminal import out, print_json
from zoo.cli.training_progress import TrainingDisplay
from zoo.errors import BackendError, InputError

if TYPE_CHECKING:
    from zoo.training.recipe import Recipe
    from zoo.training.tensorboard import TensorBoard

#: The share of steps without an update that is reported. The first steps of a run find the scale.
_NOTABLE = 0.1
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
@output_option("FOLDER", "Folder to write the run to.")
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
@click.option(
    "--devices",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="Number of devices that share each batch; by default, those that the framework's launcher "
    "has started, or 1.",
)
@click.option(
    "--tensorboard/--no-tensorboard",
    default=None,
    help="Write events for TensorBoard, too; with --resume, by default if the run has some.",
)
@recipe_options
@format_option(Format.TABLE, Format.JSON)
def train(
    model: str | None,
    backend: str | None,
    output: Path | None,
    recipe_file: Path | None,
    resume: Path | None,
    workers: int,
    devices: int | None,
    tensorboard: bool | None,
    output_format: Format,
    **settings: Any,
) -> None:
    """Train a model, the same way in each framework, or resume a run in any of them.

    MODEL is a name from 'zoo list', or the path of a YAML file. All frameworks see the same images
    in the same order and update weights by the same rule. The folder of the run has the recipe, the
    metrics and the checkpoints. Options that take weights, such as --weights, take a checkpoint,
    too.
    """
    from zoo.training import processes
    from zoo.training.train import CHANGEABLE, backend_of

    given = {
        name: value_of(name, value) for name, value in settings.items() if value not in (None, ())
    }
    if resume is None:
        tensorboard = bool(tensorboard)
    job: dict[str, Any] = {"workers": workers, "devices": devices, "tensorboard": tensorboard}
    if resume is not None:
        _check_resuming(model, output, recipe_file, given)
        backend = backend_of(resume) if backend is None else backend
        folder = resume
        job |= {name: given.get(name) for name in ("data", *CHANGEABLE)}
    else:
        recipe = _recipe(model, recipe_file, given)
        if backend is None:
            raise InputError("name the framework to train in: --backend")
        if output is None:
            raise InputError("name the folder of the run: --output")
        folder = output
        job |= {"recipe": recipe.to_dict()}
    job |= {"backend": backend, "folder": str(folder)}
    try:
        run = processes.run(backend, devices, _train, job)
    except InputError as error:
        raise InputError(with_options(str(error))) from None
    if not run["reports"]:
        return
    page = _page(folder)
    if output_format is Format.JSON:
        print_json(
            {
                "folder": str(folder),
                "step": run["step"],
                "updates": run["updates"],
                "stopped": run["stopped"],
                "page": None if page is None else str(page),
            }
        )
    else:
        out.print(_summary(run, folder), soft_wrap=True, markup=False)
        if skipped := _skipped(run):
            out.print(skipped, soft_wrap=True, markup=False)
    if run["stopped"] in signal.Signals.__members__:
        click.get_current_context().exit(INTERRUPTED)


def _train(
    backend: str,
    folder: str,
    workers: int,
    devices: int | None,
    tensorboard: bool | None,
    recipe: dict[str, Any] | None = None,
    **resuming: Any,
) -> dict[str, Any]:
    """Train in this process, which may be one of several.

    Returns:
        What there is to report of the run, and whether this process does so.
    """
    from zoo.backend import registry
    from zoo.training import recipe as recipes
    from zoo.training import train as training

    # It stays connected until all is written.
    with closing(registry.load(backend).group(devices)) as group, ExitStack() as stack:
        callbacks: list[Any] = []
        if not group.rank:
            callbacks.append(stack.enter_context(TrainingDisplay()))
            if (board := _board(Path(folder) / "tensorboard", tensorboard)) is not None:
                callbacks.append(stack.enter_context(board))
        more: Any = {"devices": devices, "workers": workers, "callbacks": callbacks}
        if recipe is None:
            run = training.resume(folder, backend=backend, **resuming, **more)
        else:
            run = training.start(recipes.of(recipe), backend, folder, **more)
        return {
            "reports": not group.rank,
            "step": run.step,
            "updates": run.updates,
            "stopped": run.stopped,
            "best": None if run.best is None else [run.best_epoch, run.best],
        }


def _board(folder: Path, wanted: bool | None) -> TensorBoard | None:
    """Return what writes events, if that is wanted, or not stated and the run has some."""
    if wanted is False or (wanted is None and not folder.is_dir()):
        return None
    from zoo.training.tensorboard import TensorBoard

    try:
        return TensorBoard(folder)
    except BackendError as error:
        other = "" if wanted else "; the run has some; to go on without, pass --no-tensorboard"
        raise BackendError(f"{error}{other}") from None


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
    from zoo.training.train import CHANGEABLE

    for name in ("epochs", "patience"):
        if name in given and (type(given[name]) is not int or given[name] < 1):
            raise InputError(f"--{name} must be an integer of at least 1, got {given[name]!r:.60}")
    others = sorted(given.keys() - {"data", *CHANGEABLE})
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


def _skipped(run: Mapping[str, Any]) -> str:
    """Say how many steps updated no weight, unless they are as few as usual."""
    steps, skipped = run["step"], run["step"] - run["updates"]
    if skipped < _NOTABLE * steps or not skipped:
        return ""
    return (
        f"{skipped:,} of {steps:,} steps updated no weight, because a gradient overflowed float16; "
        "--precision bfloat16 has a larger range"
    )


def _summary(run: Mapping[str, Any], folder: Path) -> str:
    if run["stopped"] in signal.Signals.__members__:
        return f"stopped after step {run['step']:,}; resume with: zoo train --resume {folder}"
    reason = {"patience": "no better top-1 for --patience epochs; "}.get(run["stopped"], "")
    if run["best"] is None:
        return f"{reason}{run['step']:,} steps; {folder}"
    epoch, top1 = run["best"]
    return (
        f"{reason}{run['step']:,} steps; best top-1 {top1:.2%} (epoch {epoch}): "
        f"{folder}/best.safetensors"
    )
