"""``zoo summary``: a model as a table."""

from __future__ import annotations

from typing import Annotated

import typer

import zoo
from zoo.commands.common import Aux, Channels, Classes, Json, Model, Size, options
from zoo.terminal import out, print_json


def summary(
    model: Model,
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    depth: Annotated[
        int, typer.Option("--depth", min=1, help="How many levels of blocks to open.")
    ] = 1,
    every_layer: Annotated[bool, typer.Option("--all", help="Open every block.")] = False,
    as_json: Json = False,
) -> None:
    """Show a model's blocks: shapes, parameters and MACs, beside what its paper states."""
    graph = zoo.graph(model, **options(aux, num_classes, in_channels, input_size))
    found = graph.summary(None if every_layer else depth)
    if as_json:
        print_json(found.to_dict())
    else:
        out.print(found)
