"""``zoo diff``: how two models differ."""

from __future__ import annotations

from typing import Annotated

import typer

import zoo
from zoo.cli.common import Aux, Channels, Classes, Json, Size, options
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
    as_json: Json = False,
) -> None:
    """Compare two models node by node. The exit status is 1 if they differ, otherwise 0."""
    chosen = options(aux, num_classes, in_channels, input_size)
    difference = zoo.diff(old, new, every=every, **chosen)
    if as_json:
        print_json(difference.to_dict())
    else:
        out.print(difference)
    if difference:
        raise typer.Exit(1)
