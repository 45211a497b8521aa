"""The command line: one command a module of ``zoo.cli``.

Exit status: 0 all is right, 1 a comparison failed, 2 a user's mistake.
"""

from __future__ import annotations

from typing import Annotated

import typer

import zoo
from zoo.cli.convert import convert
from zoo.cli.diff import diff
from zoo.cli.draw import draw
from zoo.cli.list import list_models
from zoo.cli.predict import predict
from zoo.cli.summary import summary
from zoo.cli.terminal import out, run
from zoo.cli.verify import verify

app = typer.Typer(
    name="zoo",
    help="One architecture spec, four frameworks, provably the same network.",
    epilog="A MODEL is a name from 'zoo list' or the path of a YAML file of your own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(list_models)
for command in (summary, draw, diff, verify, predict, convert):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    run(app)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(zoo.__version__)
        raise typer.Exit
