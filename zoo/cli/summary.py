"""``zoo summary``: a model as a table."""

from __future__ import annotations

import zoo
from zoo.cli.common import (
    All,
    Aux,
    Channels,
    Classes,
    Depth,
    Form,
    Format,
    JsonToo,
    Model,
    Size,
    format_of,
    options,
)
from zoo.cli.terminal import out, print_json


def summary(
    model: Model,
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    depth: Depth = 1,
    every_layer: All = False,
    form: Form = None,
    as_json: JsonToo = False,
) -> None:
    """Show a model's blocks: shapes, parameters and MACs, beside what its paper states."""
    chosen = format_of(form, as_json)
    graph = zoo.graph(model, **options(aux, num_classes, in_channels, input_size))
    found = graph.summary(None if every_layer else depth)
    match chosen:
        case Format.JSON:
            print_json(found.to_dict())
        case Format.CSV:
            print(found.to_csv(), end="")
        case Format.MARKDOWN:
            print(found.to_markdown())
        case Format.TABLE:
            out.print(found)
