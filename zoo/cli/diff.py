"""``zoo diff``: how two models differ."""

from __future__ import annotations

from typing import Annotated

import typer

import zoo
from zoo.cli.common import (
    Aux,
    Channels,
    Classes,
    Form,
    Format,
    JsonToo,
    Size,
    format_of,
    options,
)
from zoo.cli.terminal import out, print_json


def diff(
    old: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name from 'zoo list', or a YAML file.")
    ],
    new: Annotated[str, typer.Argument(metavar="MODEL", help="Another model.")],
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    every: Annotated[
        bool, typer.Option("--all", help="List every change, even where many are alike.")
    ] = False,
    form: Form = None,
    as_json: JsonToo = False,
) -> None:
    """Compare two models node by node. The exit status is 1 if they differ, otherwise 0."""
    output = format_of(form, as_json)
    chosen = options(aux, num_classes, in_channels, input_size)
    difference = zoo.diff(old, new, every=every, **chosen)
    match output:
        case Format.JSON:
            print_json(difference.to_dict())
        case Format.CSV:
            print(difference.to_csv(), end="")
        case Format.MARKDOWN:
            print(difference.to_markdown())
        case Format.TABLE:
            out.print(difference)
    if difference:
        raise typer.Exit(1)
