"""``zoo draw``: a model as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import zoo
from zoo.cli.common import (
    All,
    Aux,
    Channels,
    Classes,
    Depth,
    Model,
    Size,
    options,
)
from zoo.cli.terminal import check_writable, out


def draw(
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE.svg", help="File to write; standard output if not given."
        ),
    ] = None,
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    depth: Depth = 1,
    every_layer: All = False,
    block: Annotated[
        str | None, typer.Option("--block", help="Draw only this block, given by its path name.")
    ] = None,
    columns: Annotated[
        int | None,
        typer.Option(
            "--columns", min=1, help="Largest number of columns; by default what suits a page."
        ),
    ] = None,
) -> None:
    """Draw a model as SVG: its blocks, and the shapes between them."""
    if output:
        check_writable(output)
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
