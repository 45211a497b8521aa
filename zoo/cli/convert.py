"""``zoo convert``: weights in another file format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli import completion
from zoo.cli.common import Channels, Classes, Json, Size, options, origin
from zoo.cli.progress import progress
from zoo.cli.terminal import check_writable, escape, out, print_json


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS",
            help="A file of weights, or a source such as 'torchvision'.",
            autocompletion=completion.sources,
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET",
            help="File to write: .safetensors for any framework; .pth (PyTorch), .pdparams "
            "(PaddlePaddle), .keras or .msgpack (Flax) for one.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A name from 'zoo list', or a YAML file; not needed if the file names it.",
            autocompletion=completion.models,
        ),
    ] = None,
    aux: Annotated[
        bool | None,
        typer.Option(
            "--aux/--no-aux", help="Keep or drop the auxiliary heads; kept if the file has them."
        ),
    ] = None,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            help="'new' for a classifier with new random weights.",
            autocompletion=completion.heads,
        ),
    ] = None,
    stem: Annotated[
        str | None,
        typer.Option(
            "--stem",
            help="'adapt' to sum or repeat the first layer's weights for other --in-channels.",
            autocompletion=completion.stems,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert weights to another file format."""
    from zoo.api import conversion

    check_writable(target, "TARGET")
    with progress(f"converting {source} to {target}"):
        chosen = options(False, num_classes, in_channels, input_size)
        chosen |= {"aux": aux, "head": head, "stem": stem}
        graph, dtype = conversion.convert(source, target, model, **chosen)
    result = {
        "model": graph.name,
        "aux": graph.options["aux"],
        "parameters": graph.num_parameters,
        "arrays": len(graph.parameters),
        "dtype": dtype,
        "from": dict(graph.origin),
        "to": str(target),
    }
    if as_json:
        print_json(result)
        return
    heads = " with auxiliary heads" if graph.options["aux"] else ""
    out.print(
        f"{escape(graph.name)}{heads}: {len(graph.parameters)} arrays of {dtype}, "
        f"{graph.num_parameters:,} parameters, in {escape(str(target))}",
        soft_wrap=True,
    )
    out.print(escape(origin(graph)), soft_wrap=True)
