"""``zoo verify``: the frameworks hold the same network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import zoo
from zoo.commands.common import Aux, Channels, Classes, Json, Model, Seed, Size, options
from zoo.terminal import check_writable, err, out, print_json, write


def verify(
    model: Model,
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    backends: Annotated[
        str | None, typer.Option("--backends", help="Which to compare, with commas between.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="float32 (within 1e-5) or float64 (within 1e-12).")
    ] = "float32",
    level: Annotated[
        str,
        typer.Option("--level", help="forward, gradients (too), or training (ten steps, too)."),
    ] = "forward",
    image: Annotated[
        Path | None, typer.Option("--image", help="A photograph; one is shipped.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    save: Annotated[
        Path | None, typer.Option("--output", help="Also write the result as JSON to this file.")
    ] = None,
) -> None:
    """Show that the frameworks hold the same network, at every node, on a photograph."""
    names = None if backends is None else [name.strip() for name in backends.split(",")]
    if save:
        check_writable(save)
    with err.status("reading the spec") as status:
        report = zoo.verify(
            model,
            backends=names,
            **options(aux, num_classes, in_channels, input_size),
            dtype=dtype,
            level=level,
            image=image,
            seed=seed,
            progress=lambda message: status.update(escape(message)),
        )
    if as_json:
        print_json(report.to_dict())
    else:
        out.print(report)
    if save:
        write(save, json.dumps(report.to_dict(), indent=2) + "\n")
    if not report.passed:
        raise typer.Exit(1)
