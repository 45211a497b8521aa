"""``zoo convert``: weights in another form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from zoo.cli.common import Channels, Classes, Json, Size, options, origin
from zoo.cli.terminal import check_writable, err, out, print_json


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS", help="A file of weights, or a source such as 'torchvision'."
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="What to write: .safetensors for any framework; .pth, .pdparams, .keras or "
            ".msgpack (Flax) for one."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", help="A name, or a YAML file; not needed where the file knows."),
    ] = None,
    aux: Annotated[
        bool | None,
        typer.Option("--aux/--no-aux", help="With the auxiliary heads; if there are any."),
    ] = None,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    head: Annotated[
        str | None, typer.Option("--head", help="'new' for a classifier that starts anew.")
    ] = None,
    stem: Annotated[
        str | None,
        typer.Option("--stem", help="'adapt' to sum or repeat what reads the input's channels."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put weights into another form: zoo's own, or a framework's."""
    from zoo.api import conversion

    check_writable(target, "TARGET")
    with err.status(escape(f"{source} to {target}")):
        chosen = options(False, num_classes, in_channels, input_size)
        chosen |= {"aux": aux, "head": head, "stem": stem}
        graph, dtype = conversion.convert_file(source, target, model, **chosen)
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
