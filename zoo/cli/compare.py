"""``zoo compare``: trains networks in several frameworks, and explains the differences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from zoo.cli import completion
from zoo.cli.common import (
    MODEL_HELP,
    SETTINGS,
    Format,
    format_option,
    output_option,
    scheduler_option,
)
from zoo.cli.recipe_options import FIELDS, recipe_options, value_of, with_options
from zoo.cli.status import INTERRUPTED
from zoo.cli.study_progress import StudyDisplay
from zoo.cli.terminal import err, escape, out
from zoo.errors import BackendError, InputError

_SCHEMA = Path(__file__).parents[1] / "comparing" / "study.schema.json"
#: Fields of a study, which are options.
_OF_STUDY = json.loads(_SCHEMA.read_text("utf-8"))["properties"]
_NOT_RECIPE = [name for name in FIELDS if name == "data" or name not in _OF_STUDY]
_MISSING = re.compile(r"^(\w+): required field is missing$")
_FIELD = re.compile(r"^(\w+)(?=[.:])")


def _recipe_options(command: Any) -> Any:
    return recipe_options(command, without=_NOT_RECIPE)


@click.command("compare", context_settings=SETTINGS, epilog=MODEL_HELP)
@click.argument("models", metavar="MODEL...", nargs=-1, shell_complete=completion.models_or_files)
@click.option(
    "--study",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A YAML file with the fields of the study; options take precedence.",
)
@output_option(
    "FOLDER", "Folder of the study. The same command continues it after an interruption."
)
@click.option("--data", metavar="NAMES", help="Datasets, separated by commas, or paths.")
@click.option(
    "--backends",
    metavar="NAMES",
    help="Backends, separated by commas; by default, all that are installed.",
    shell_complete=completion.completing(completion.backends),
)
@click.option("--seeds", metavar="N|N,N,...", help="The number of random seeds, or the seeds.")
@click.option(
    "--explain", is_flag=True, default=None, help="Run what shows how much each switch contributes."
)
@click.option("--switches", metavar="NAMES", help="Which switches; by default, all that matter.")
@click.option(
    "--native",
    metavar="BACKEND.SWITCH=VALUE",
    multiple=True,
    help="What one's own code has there, instead of the framework's default. May be repeated.",
)
@click.option(
    "--grid",
    metavar="FIELD=VALUE,...",
    multiple=True,
    help="Values of a setting, each of which is studied. May be repeated.",
)
@click.option(
    "--crossed", is_flag=True, default=None, help="Combine every seed of weights with all orders."
)
@click.option(
    "--repeats",
    type=int,
    help="Repeat aligned runs so often without asking for deterministic kernels.",
)
@click.option("--margin", type=float, help="Difference of top-1 below which all is equivalent.")
@click.option("--proof-steps", type=int, help="Steps that are proven in float64; by default, 10.")
@click.option("--train-images", type=int, help="Number of images to train on; by default, all.")
@click.option("--validation-images", type=int, help="Number of images to validate with.")
@click.option("--threads", type=int, help="Threads of each run; by default, 1.")
@click.option(
    "--repeat",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Repeat the study of a run.json in a new folder, and compare every run bit for bit.",
)
@scheduler_option
@_recipe_options
@format_option(Format.TABLE, Format.JSON, Format.CSV)
def compare(
    models: tuple[str, ...],
    file: Path | None,
    output: Path | None,
    data: str | None,
    backends: str | None,
    seeds: str | None,
    switches: str | None,
    native: tuple[str, ...],
    grid: tuple[str, ...],
    repeat: Path | None,
    scheduler: str | None,
    output_format: Format,
    **settings: Any,
) -> None:
    """Train networks in several frameworks, and find out what makes the results differ.

    Aligned runs have the same initial weights, batches and update rule in every framework; that
    they are the same is proven first. Native runs have the defaults of each framework. The folder
    gets every run, a page (index.html), tables (runs.csv) and a file to repeat it from (run.json).
    """
    context = click.get_current_context()
    if output is None:
        raise InputError("name the folder of the study: --output")
    given: dict[str, Any] = {
        name: value_of(name, value) if name in FIELDS else value
        for name, value in settings.items()
        if value not in (None, ())
    }
    given |= {
        name: value
        for name, value in {
            "models": list(models),
            "data": _names(data),
            "backends": _names(backends),
            "seeds": _seeds(seeds),
            "switches": _names(switches),
            "native": _native(native),
            "grid": _grid(grid),
        }.items()
        if value not in (None, [], {})
    }
    with StudyDisplay() as display:
        try:
            done, unequal = _run(given, file, output, repeat, scheduler, display)
        except KeyboardInterrupt:
            display.__exit__(None, None, None)
            if display.total:
                err.print(
                    escape(
                        f"interrupted: {display.done:,} of {display.total:,} runs are kept in "
                        f"{output}; the same command continues"
                    ),
                    soft_wrap=True,
                )
                context.exit(INTERRUPTED)
            raise
    _show(done, output, output_format)
    for line in unequal or ():
        err.print(escape(f"not the same: {line}"), soft_wrap=True)
    if unequal == []:
        err.print(f"all {len(done.runs):,} runs are the same, bit for bit")
    for failed in done.failed[:5]:
        err.print(escape(f"{failed.backend}: {failed.stopped}"), soft_wrap=True)
    if unequal or done.failed:
        context.exit(1)


def _run(
    given: dict[str, Any],
    file: Path | None,
    output: Path,
    repeated: Path | None,
    scheduler: str | None,
    display: StudyDisplay,
) -> tuple[Any, list[str] | None]:
    """Run a study, or repeat one and return what is not the same."""
    from zoo.comparing import study as studies
    from zoo.comparing.run import run
    from zoo.views.study.compare import repeat

    if repeated is not None:
        if given or file is not None:
            raise InputError("--repeat has all settings of the study; leave the others out")
        return repeat(repeated, output, scheduler=scheduler, progress=display)
    try:
        study = studies.of(given, file)
    except InputError as error:
        raise type(error)(_with_options(str(error), given)) from None
    return run(study, output, scheduler=scheduler, progress=display), None


def _show(done: Any, output: Path, output_format: Format) -> None:
    """Print what the study says, and write its files."""
    from zoo.comparing import record
    from zoo.views.study.compare import report

    record.write(output / "run.json", record.contents(done))
    found = report(done)
    written = [output / "run.json", *found.write(output / "runs.csv")]
    try:
        written += found.write(output / "index.html")
    except BackendError as error:  # what a page needs is not installed
        err.print(escape(f"no index.html: {error}"), soft_wrap=True)
    if output_format is Format.JSON:
        print(found.to_json(), end="")
    elif output_format is Format.CSV:
        print(found.to_csv(), end="")
    else:
        out.print(found)
        names = ", ".join(path.name for path in written if path.parent == output)
        out.print(f"{output}: {names}", soft_wrap=True, markup=False)


def _with_options(message: str, given: dict[str, Any]) -> str:
    """Write the field that a message begins with as an option."""
    missing = _MISSING.match(message)
    if missing is not None:
        name = missing[1].replace("_", "-")
        return "name a model, or a --study" if name == "models" else f"--{name} is required"
    field = _FIELD.match(message)
    if field is None or field[1] in FIELDS:
        return with_options(message)
    known = field[1] in _OF_STUDY and field[1] != "models"
    return f"--{field[1].replace('_', '-')}{message[field.end() :]}" if known else message


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"expected names separated by commas, got {text!r:.100}")
    return names


def _seeds(text: str | None) -> Any:
    values = [_scalar(name) for name in _names(text) or ()]
    return values[0] if len(values) == 1 else values or None


def _grid(given: Iterable[str]) -> dict[str, list[Any]]:
    found = {}
    for text in given:
        name, separator, values = text.partition("=")
        if not separator:
            raise InputError(f"--grid: expected FIELD=VALUE,VALUE, got {text!r:.100}")
        found[name.strip().replace("-", "_")] = [_scalar(each) for each in values.split(",")]
    return found


def _native(given: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        place, separator, value = text.partition("=")
        backend, dot, switch = place.partition(".")
        if not separator or not dot:
            raise InputError(f"--native: expected BACKEND.SWITCH=VALUE, got {text!r:.100}")
        found.setdefault(backend.strip(), {})[switch.strip().replace("-", "_")] = _scalar(value)
    return found


def _scalar(text: str) -> Any:
    for number in (int, float):
        with suppress(ValueError):
            return number(text.strip())
    return {"true": True, "false": False}.get(text.strip().lower(), text.strip())
