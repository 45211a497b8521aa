"""``zoo diff``: how two models differ."""

from __future__ import annotations

from pathlib import Path

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
    page_option,
    size_options,
)
from zoo.cli.terminal import check_writable, out, print_json

_MODELS = completion.models_or_files


@click.command("diff", context_settings=SETTINGS, epilog=MODEL_HELP)
@click.argument("old", metavar="MODEL", shell_complete=_MODELS)
@click.argument("new", metavar="MODEL", shell_complete=_MODELS)
@aux_option
@size_options
@click.option("--all", "every", is_flag=True, help="List every change, without grouping.")
@page_option("Page to write, with both drawings side by side.")
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many levels of blocks the drawings of the page show.",
)
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
    page: Path | None,
    depth: int,
    output_format: Format,
) -> None:
    """Compare two models node by node. The exit status is 1 if they differ."""
    arguments = options(aux, num_classes, in_channels, input_size)
    if page:
        check_writable(page, ".html", argument="--html")
    difference = zoo.diff(old, new, page, every=every, depth=depth, **arguments)
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
