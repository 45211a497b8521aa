"""``zoo diff``: what two models differ in."""

from __future__ import annotations

from typing import Annotated

import typer

import zoo
from zoo.cli.common import Aux, Channels, Classes, Json, Size, options
from zoo.cli.terminal import out, print_json


def diff(
    old: Annotated[str, typer.Argument(metavar="MODEL", help="A name, or a YAML file.")],
    new: Annotated[str, typer.Argument(metavar="MODEL", help="Another.")],
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every node, also where many are alike.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what two models differ in, node by node; the exit status is 1 if they do."""
    found = zoo.diff(old, new, every=every, **options(aux, num_classes, in_channels, input_size))
    if as_json:
        print_json(found.to_dict())
    else:
        out.print(found)
    if found:
        raise typer.Exit(1)
