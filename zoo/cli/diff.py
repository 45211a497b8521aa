"""``zoo diff``: how two models differ."""

from __future__ import annotations

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import (
    MODEL_HELP,
    SETTINGS,
    Format,
    aux_option,
    format_option,
    options,
    size_options,
)
from zoo.cli.terminal import out, print_json

_MODELS = completion.models_or_files


@click.command("diff", context_settings=SETTINGS, epilog=MODEL_HELP)
@click.argument("old", metavar="MODEL", shell_complete=_MODELS)
@click.argument("new", metavar="MODEL", shell_complete=_MODELS)
@aux_option
@size_options
@click.option("--all", "every", is_flag=True, help="List every change, without grouping.")
@format_option()
@click.pass_context
def diff(
    context: click.Context,
    old: str,
    new: str,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    every: bool,
    output_format: Format,
) -> None:
    """Compare two models node by node. The exit status is 1 if they differ."""
    arguments = options(aux, num_classes, in_channels, input_size)
    difference = zoo.diff(old, new, every=every, **arguments)
    match output_format:
        case Format.JSON:
            print_json(difference.to_dict())
        case Format.CSV:
            print(difference.to_csv(), end="")
        case Format.MARKDOWN:
            print(difference.to_markdown())
        case Format.TABLE:
            out.print(difference)
    if difference:
        context.exit(1)
