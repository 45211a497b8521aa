"""``zoo source``: a model as source code."""

from __future__ import annotations

from pathlib import Path

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import (
    MODEL_HELP,
    SETTINGS,
    aux_option,
    model_argument,
    options,
    size_options,
)
from zoo.cli.terminal import check_writable, escape, out


@click.command("source", context_settings=SETTINGS, epilog=MODEL_HELP)
@model_argument
@click.option(
    "--backend",
    required=True,
    metavar="NAME",
    help="Framework of the source code: torch, paddle, keras or flax.",
    shell_complete=completion.completing(completion.written_backends),
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.py",
    help="File to write; standard output if not given.",
)
@aux_option
@size_options
def source(
    model: str,
    backend: str,
    output: Path | None,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
) -> None:
    """Write a model as source code of a framework, which does not need zoo."""
    if output:
        check_writable(output)
    settings = options(aux, num_classes, in_channels, input_size)
    text = zoo.source(model, backend, output, **settings)
    if output:
        out.print(escape(f"{model} written to {output}"), soft_wrap=True)
    else:
        print(text, end="")
