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
    """Show a model's output shapes, parameters and MACs, beside the figures of its paper."""
    chosen = format_of(form, as_json)
    result = zoo.summary(
        model,
        None if every_layer else depth,
        **options(aux, num_classes, in_channels, input_size),
    )
    match chosen:
        case Format.JSON:
            print_json(result.to_dict())
        case Format.CSV:
            print(result.to_csv(), end="")
        case Format.MARKDOWN:
            print(result.to_markdown())
        case Format.TABLE:
            out.print(result)
