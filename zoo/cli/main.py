"""The command line: one command per module of ``zoo.cli``.

Exit status: 0 for success, 1 when a comparison failed, 2 for a mistake of the user's.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.main import get_command

import zoo
from zoo.cli.lazy import SETTINGS, LazyCommand
from zoo.cli.terminal import run

#: Name -> where its function is, and the first sentence of its help.
COMMANDS = {
    "list": ("zoo.cli.list:list_models", "List the models that zoo ships."),
    "summary": (
        "zoo.cli.summary:summary",
        "Show a model's output shapes, parameters and MACs, beside the figures of its paper.",
    ),
    "draw": ("zoo.cli.draw:draw", "Draw a model as SVG: its blocks, and the shapes between them."),
    "diff": ("zoo.cli.diff:diff", "Compare two models node by node."),
    "verify": (
        "zoo.cli.verify:verify",
        "Verify that the frameworks compute the same values at every node.",
    ),
    "predict": ("zoo.cli.predict:predict", "Classify a photograph."),
    "convert": ("zoo.cli.convert:convert", "Convert weights to another file format."),
}

_HELP = "One architecture spec, four frameworks, the same network."
_EPILOG = (
    "MODEL is a name from 'zoo list' or the path of a YAML file. 'zoo --install-completion' makes "
    "your shell (bash, zsh or fish) complete the names of commands, models and backends."
)

app = typer.Typer(name="zoo", help=_HELP, epilog=_EPILOG, **SETTINGS)


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(zoo.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def command_line() -> Any:
    """Return the program as a command group, with every command in it."""
    group: Any = get_command(app)
    for name, (target, sentence) in COMMANDS.items():
        group.add_command(LazyCommand(name, target, sentence))
    return group


def main() -> None:
    """Run the command line."""
    run(command_line())
