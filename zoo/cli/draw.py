"""``zoo draw``: a model as a picture."""

from __future__ import annotations

from pathlib import Path

import click

import zoo
from zoo.cli.common import (
    MODEL_HELP,
    SETTINGS,
    aux_option,
    depth_options,
    model_argument,
    options,
    output_option,
    size_options,
)
from zoo.cli.terminal import check_writable, escape, out


@click.command("draw", context_settings=SETTINGS, epilog=MODEL_HELP)
@model_argument
@output_option("FILE.svg", "File to write; standard output if not given.")
@aux_option
@size_options
@depth_options
@click.option("--block", metavar="NAME", help="Draw only this block, given by its path name.")
@click.option(
    "--columns",
    type=click.IntRange(min=1),
    help="Largest number of columns; by default, what fits a page.",
)
def draw(
    model: str,
    output: Path | None,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    depth: int,
    every_layer: bool,
    block: str | None,
    columns: int | None,
) -> None:
    """Draw a model as SVG: its blocks and the shapes between them."""
    if output:
        check_writable(output, ".svg")
    drawing = zoo.draw(
        model,
        output,
        depth=None if every_layer else depth,
        block=block,
        columns=columns,
        **options(aux, num_classes, in_channels, input_size),
    )
    if output:
        out.print(escape(f"{model} drawn to {output}"), soft_wrap=True)
    else:
        print(drawing, end="")
