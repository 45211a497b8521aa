"""The commands: one per module of ``zoo.cli``.

Exit status: 0 for success, 1 when a comparison failed, 2 for a user error, 130 after
Ctrl-C, and 141 if the reader of the output has closed it.
"""

from __future__ import annotations

from typing import Any

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import MODEL_HELP, SETTINGS
from zoo.cli.lazy import LazyCommand
from zoo.cli.status import INTERRUPTED, interrupted
from zoo.cli.terminal import as_options, err
from zoo.errors import ZooError

#: Name -> location of the command, and the first sentence of its help.
COMMANDS = {
    "list": ("zoo.cli.list:list_models", "List the models that zoo ships."),
    "summary": (
        "zoo.cli.summary:summary",
        "Show a model's output shapes, parameters and MACs next to the figures of its paper.",
    ),
    "draw": ("zoo.cli.draw:draw", "Draw a model as SVG: its blocks and the shapes between them."),
    "diff": ("zoo.cli.diff:diff", "Compare two models node by node."),
    "source": (
        "zoo.cli.source:source",
        "Write a model as source code of a framework, which does not need zoo.",
    ),
    "verify": (
        "zoo.cli.verify:verify",
        "Verify that the frameworks compute the same values at every node.",
    ),
    "bench": (
        "zoo.cli.bench:bench",
        "Time models in the frameworks, each held to the reference before it has a time.",
    ),
    "compare": (
        "zoo.cli.compare:compare",
        "Train networks in several frameworks, and find out what makes the results differ.",
    ),
    "predict": ("zoo.cli.predict:predict", "Classify a photograph."),
    "export": (
        "zoo.cli.export:export",
        "Write a model as a program that runs without zoo, and compare it with the model.",
    ),
    "convert": ("zoo.cli.convert:convert", "Convert weights to another file format."),
    "train": (
        "zoo.cli.train:train",
        "Train a model, the same way in each framework, or resume a run in any of them.",
    ),
    "data": ("zoo.cli.data:data", "List the datasets that zoo knows, or the classes of one."),
}

_EPILOG = f"""\
{MODEL_HELP}

\b
To complete commands, models and backends, write a script to a file that your shell reads:
  bash  zoo --show-completion bash > ~/.local/share/bash-completion/completions/zoo
  zsh   zoo --show-completion zsh > ~/.zfunc/_zoo
  fish  zoo --show-completion fish > ~/.config/fish/completions/zoo.fish
"""


class _InOrder(click.Group):
    """A group that lists its commands in the order of definition, not alphabetically."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ZooError as error:
            if context.invoked_subcommand is None:
                raise
            command = self.commands[context.invoked_subcommand]
            assert isinstance(command, LazyCommand)
            known = [name for parameter in command.loaded.params for name in parameter.opts]
            raise ZooError(as_options(str(error), known)) from error
        except KeyboardInterrupt:  # of which click itself prints an empty line
            err.print(interrupted())
            context.exit(INTERRUPTED)


@click.group(
    "zoo",
    cls=_InOrder,
    epilog=_EPILOG,
    context_settings=SETTINGS,
    invoke_without_command=True,
    commands={name: LazyCommand(name, *rest) for name, rest in COMMANDS.items()},
)
@click.option("--version", is_flag=True, help="Print the version and exit.")
@click.option(
    "--show-completion",
    "shell",
    type=click.Choice(completion.SHELLS),
    help="Print the completion script of a shell, and exit.",
)
@click.pass_context
def program(context: click.Context, version: bool, shell: str | None) -> None:
    """One architecture spec, four frameworks, the same network in each."""
    if version:
        click.echo(zoo.__version__)
    elif shell:
        click.echo(completion.script(context.command, shell))
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(2)
    else:
        return
    context.exit()
