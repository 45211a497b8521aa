"""Parts that several commands share: arguments, options, and the origin of weights in words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

import zoo
from zoo.cli import completion
from zoo.errors import InputError, suggestion

if TYPE_CHECKING:
    from zoo.graphs.graph import Graph

Function = TypeVar("Function", bound=Callable[..., Any])

MODEL_HELP = "MODEL is a name from 'zoo list', or the path of a YAML file."

#: Settings of every command, and of the program.
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}

model_argument = click.argument("model", metavar="MODEL", shell_complete=completion.models_or_files)
aux_option = click.option("--aux", is_flag=True, help="Include the auxiliary heads.")
seed_option = click.option(
    "--seed", default=0, show_default=True, help="Random seed for the weights."
)
weights_option = click.option(
    "--weights",
    metavar="FILE|SOURCE",
    help="Weights to load: a file, or a source to download from, such as 'torchvision'. Without "
    "them, the model is untrained.",
    shell_complete=completion.sources_or_files,
)
scheduler_option = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Scheduler of Dask whose workers do the work, such as tcp://127.0.0.1:8786.",
)
entry_option = click.option(
    "--entry",
    metavar="KEY",
    help="Key of the weights to read, such as 'state_dict_ema', if the file has several sets.",
)


class Format(StrEnum):
    """The format that a result is printed in."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def size_options(command: Function) -> Function:
    """Add ``--num-classes``, ``--in-channels`` and ``--input-size`` to a command."""
    for option in (
        click.option("--input-size", metavar="N|HxW", help="Size of the input in pixels."),
        click.option("--in-channels", type=int, help="Number of channels of the input."),
        click.option(
            "--num-classes",
            type=int,
            help="Number of outputs of the classifier; 0 for a network without one.",
        ),
    ):
        command = option(command)
    return command


def depth_options(command: Function) -> Function:
    """Add ``--depth`` and ``--all`` to a command that shows blocks."""
    command = click.option("--all", "every_layer", is_flag=True, help="Expand every block.")(
        command
    )
    return click.option(
        "--depth",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Levels of nested blocks to expand.",
    )(command)


def output_option(
    metavar: str, text: str, name: str = "output", **settings: Any
) -> Callable[[Function], Function]:
    """Return the option ``--output`` of a command, which is ``-o`` for short.

    Args:
        metavar: What it is in the help, such as ``FILE.svg``.
        text: The help.
        name: The parameter of the command.
        **settings: More arguments of :func:`click.option`.
    """
    kind = click.Path(path_type=Path)
    return click.option("-o", "--output", name, type=kind, metavar=metavar, help=text, **settings)


def page_option(text: str) -> Callable[[Function], Function]:
    """Return the option ``--html`` of a command that can also write a page.

    Args:
        text: The help, which says what is on the page.
    """
    kind = click.Path(path_type=Path)
    return click.option("--html", "page", type=kind, metavar="FILE.html", help=text)


def format_option(*forms: Format) -> Callable[[Function], Function]:
    """Add ``--format`` to a command, and ``--json``, its older spelling, which the help leaves out.

    The command gets a :class:`Format`, as ``output_format``.

    Args:
        *forms: The formats that the command can print; all if not given.
    """

    def add(command: Function) -> Function:
        @functools.wraps(command)
        def with_format(*args: Any, form: str | None, as_json: bool, **kwargs: Any) -> Any:
            if as_json and form not in (None, Format.JSON):
                raise InputError(f"--json and --format {form}: give one of them")
            output_format = Format.JSON if as_json else Format(form or Format.TABLE)
            return command(*args, output_format=output_format, **kwargs)

        hidden = click.option(
            "--json", "as_json", is_flag=True, hidden=True, help="Short for --format json."
        )
        choice = click.option(
            "--format",
            "form",
            type=click.Choice([form.value for form in forms or Format]),
            help="Output format; a table by default.",
        )
        return cast("Function", choice(hidden(with_format)))

    return add


def options(
    aux: bool, num_classes: int | None, in_channels: int | None, input_size: str | None
) -> dict[str, Any]:
    """Return the options of a network as the arguments of :func:`zoo.graph`.

    Raises:
        InputError: ``input_size`` is not a size.
    """
    return {
        "aux": aux,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "input_size": size(input_size),
    }


def size(text: str | None) -> int | tuple[int, int] | None:
    """Read the size of an input, such as 224 or 240x320.

    Raises:
        InputError: It is not a size.
    """
    if text is None:
        return None
    height, separator, width = text.lower().partition("x")
    sides = [height, width] if separator else [height]
    if not all(side.isdecimal() and len(side) < 7 for side in sides):
        value = f"{text!r:.200}"
        raise InputError(f"--input-size: expected a number such as 224, or 240x320, got {value}")
    return (int(height), int(width)) if separator else int(height)


def unmatched(pattern: str) -> str:
    """Return the message for a pattern of names that no model matches."""
    is_name = not set(pattern) & set("*?[")
    hint = suggestion(pattern, zoo.list_models()) if is_name else ""
    hint = hint or ". 'zoo list' shows them all."
    return f"no model matches {pattern!r}{hint}"


def origin(graph: Graph) -> str:
    """Describe where the weights of a network came from."""
    stated = dict(graph.origin)
    if "names" in stated:
        stated["names"] = f"names {stated['names']}"
    keys = ("source", "names", "file", "note", "license")
    parts = [stated[key] for key in keys if stated.get(key)]
    return f"weights: {'; '.join(parts)}" if parts else "weights: from a file that zoo saved"
