"""``zoo diff``: how two models differ."""

from __future__ import annotations

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import MODEL_HELP, SETTINGS, aux_option, json_option, options, size_options
from zoo.cli.terminal import out, print_json

_MODELS = completion.completing(completion.models)


@click.command("diff", context_settings=SETTINGS, epilog=MODEL_HELP)
@click.argument("old", metavar="MODEL", shell_complete=_MODELS)
@click.argument("new", metavar="MODEL", shell_complete=_MODELS)
@aux_option
@size_options
@click.option("--all", "every", is_flag=True, help="List every change, even where many are alike.")
@json_option
@click.pass_context
def diff(
    context: click.Context,
    old: str,
    new: str,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    every: bool,
    as_json: bool,
) -> None:
    """Compare two models node by node. The exit status is 1 if they differ, otherwise 0."""
    chosen = options(aux, num_classes, in_channels, input_size)
    difference = zoo.diff(old, new, every=every, **chosen)
    if as_json:
        print_json(difference.to_dict())
    else:
        out.print(difference)
    if difference:
        context.exit(1)
