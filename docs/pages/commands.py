"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from zoo.cli.lazy import LazyCommand
from zoo.cli.program import COMMANDS

_INTRODUCTION = """\
# Command line

`zoo` is the command, and `python -m zoo` does the same. `zoo COMMAND --help` shows what this page
says. The exit status is 0 for success, 1 if a comparison failed, 2 for a user error, 130 after
Ctrl-C, and 141 if the reader of the output closed it. `zoo --show-completion bash` prints a script
with which your shell completes commands, models and backends; `zsh` and `fish` work, too.
"""


def page() -> str:
    """Return the page of all commands."""
    parts = [_INTRODUCTION]
    for name, (target, sentence) in COMMANDS.items():
        command = LazyCommand(name, target, sentence).loaded
        parts.append("\n".join(_command(name, command)))
    return "\n".join(parts)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"zoo {name}")
    yield f"## `zoo {name}`\n"
    yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    yield _paragraphs(command.help or "") + "\n"
    records = (each.get_help_record(context) for each in command.params)
    rows = [record for record in records if record and record[1]]  # arguments have no meaning there
    if rows:
        yield "| option | meaning |\n|---|---|"
        for option, meaning in rows:
            yield f"| {_literal(option)} | {_escaped(meaning)} |"
        yield ""
    if command.epilog:
        yield _paragraphs(command.epilog) + "\n"


def _paragraphs(text: str) -> str:
    """Return a help text as Markdown; what click prints as it stands becomes a block of code."""
    shown = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            shown.append(f"```text\n{paragraph.removeprefix(chr(8)).strip(chr(10))}\n```")
        else:
            shown.append(_escaped(" ".join(paragraph.split())))
    return "\n\n".join(shown)


def _literal(option: str) -> str:
    return f"`{option.replace('|', '¦')}`".replace("¦", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"([|*_<\[\]])", r"\\\1", " ".join(text.split()))
