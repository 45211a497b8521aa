"""``zoo summary``: a model as a table."""

from __future__ import annotations

import click

import zoo
from zoo.cli.common import (
    MODEL_HELP,
    SETTINGS,
    Format,
    aux_option,
    depth_options,
    format_option,
    model_argument,
    options,
    size_options,
)
from zoo.cli.terminal import out, print_json


@click.command("summary", context_settings=SETTINGS, epilog=MODEL_HELP)
@model_argument
@aux_option
@size_options
@depth_options
@format_option()
def summary(
    model: str,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    depth: int,
    every_layer: bool,
    output_format: Format,
) -> None:
    """Show a model's output shapes, parameters and MACs next to the figures of its paper."""
    result = zoo.summary(
        model,
        None if every_layer else depth,
        **options(aux, num_classes, in_channels, input_size),
    )
    match output_format:
        case Format.JSON:
            print_json(result.to_dict())
        case Format.CSV:
            print(result.to_csv(), end="")
        case Format.MARKDOWN:
            print(result.to_markdown())
        case Format.TABLE:
            out.print(result)
