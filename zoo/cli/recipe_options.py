"""The fields of a recipe as options of a command.

They are read from the JSON Schema of recipes, which needs nothing to be imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from zoo.cli.common import size

_SCHEMA = Path(__file__).parents[1] / "training" / "recipe.schema.json"
#: Field -> its schema.
FIELDS: Mapping[str, Mapping[str, Any]] = json.loads(_SCHEMA.read_text("utf-8"))["properties"]

_ELSEWHERE = frozenset(("format", "model"))  # no options
_METAVARS = {"number": "NUMBER", "integer": "N"}


def recipe_options(
    command: Callable[..., Any], without: Collection[str] = ()
) -> Callable[..., Any]:
    """Add an option for each field of a recipe, without a default: None is not given.

    Args:
        command: The command.
        without: Fields that it has no options for.
    """
    for name, field in reversed(list(FIELDS.items())):
        if name not in _ELSEWHERE and name not in without:
            command = _option(name, field)(command)
    return command


def value_of(name: str, value: Any) -> Any:
    """Return the value of an option as a recipe has it.

    Args:
        name: The field.
        value: The string that was given, several strings, or a boolean.

    Raises:
        InputError: It must be the size of an input, and is not.

    Example:
        >>> value_of("lr", "0.1"), value_of("input_size", "24x32"), value_of("freeze", ("conv*",))
        (0.1, [24, 32], ['conv*'])
    """
    if isinstance(value, tuple):
        return [_scalar(_single(FIELDS[name]["items"]), each) for each in value]
    if name == "input_size":
        found = size(value)
        return list(found) if isinstance(found, tuple) else found
    return _scalar(_single(FIELDS[name]), value) if isinstance(value, str) else value


def with_options(message: str) -> str:
    """Write the setting that a message begins with as an option.

    Example:
        >>> with_options("batch_size: expected an integer of at least 1, got 0")
        '--batch-size: expected an integer of at least 1, got 0'
    """
    name = re.match(r"\w+", message)
    if name is None or name[0] not in FIELDS:
        return message
    return f"--{name[0].replace('_', '-')}{message[name.end() :]}"


def _option(name: str, field: Mapping[str, Any]) -> Callable[[Any], Any]:
    help_ = f"{field['description'][:1].upper()}{field['description'][1:]}."
    flag, default = f"--{name.replace('_', '-')}", field.get("default")
    shown = None if default in (None, [], False) else str(default)
    if field.get("type") == "boolean":
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=help_)
    several = field.get("type") == "array"
    help_ += " May be repeated." * several
    single = _single(field["items"] if several else field)
    metavar = "|".join(single.get("enum", ())) or _METAVARS.get(single.get("type", ""), "TEXT")
    if name == "input_size":
        metavar = "N|HxW"
    return click.option(
        flag, name, metavar=metavar, multiple=several, show_default=shown, help=help_
    )


def _scalar(field: Mapping[str, Any], text: str) -> Any:
    if field.get("type") in ("integer", "number"):
        for number in (int, float):
            with suppress(ValueError):
                return number(text)
    return text


def _single(field: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a value that is not null."""
    while "anyOf" in field:
        field = field["anyOf"][0]
    return field
