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
    output_option,
    page_option,
    size_options,
)
from zoo.cli.terminal import check_writable, escape, out


@click.command("source", context_settings=SETTINGS, epilog=MODEL_HELP)
@model_argument
@click.option(
    "--backend",
    metavar="NAME",
    help="Framework of the source code: torch, paddle, keras or flax.",
    shell_complete=completion.completing(completion.written_backends),
)
@output_option("FILE.py", "File to write; standard output if not given.")
@page_option("Page to write, with the spec and all frameworks side by side.")
@aux_option
@size_options
def source(
    model: str,
    backend: str | None,
    output: Path | None,
    page: Path | None,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
) -> None:
    """Write a model as source code of a framework, which does not need zoo."""
    if backend is None and page is None:
        raise click.UsageError("name a framework with --backend, or a page with --html")
    if backend is None and output:
        raise click.UsageError("--output is for one framework; name it with --backend")
    if output:
        check_writable(output, ".py")
    if page:
        check_writable(page, ".html", argument="--html")
    settings = options(aux, num_classes, in_channels, input_size)
    if page:
        zoo.sources(model, page, **settings)
        out.print(escape(f"{model} written to {page}"), soft_wrap=True)
    if backend is None:
        return
    text = zoo.source(model, backend, output, **settings)
    if output:
        out.print(escape(f"{model} written to {output}"), soft_wrap=True)
    else:
        print(text, end="")
