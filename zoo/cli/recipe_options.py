"""The fields of a recipe as options of a command."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from zoo.cli.common import size
from zoo.ops.fields import PLAIN_BOOLEAN, PLAIN_SIZE
from zoo.ops.grammar import Field
from zoo.ops.kinds import ListOf, Nullable
from zoo.training.recipe import Recipe

_ELSEWHERE = frozenset(("format", "model"))  # no options


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each field of a recipe, without a default: None is not given."""
    for name, field in reversed(list(Recipe.fields.items())):
        if name not in _ELSEWHERE:
            command = _option(name, field)(command)
    return command


def _option(name: str, field: Field[Any]) -> Callable[[Any], Any]:
    help_ = f"{field.doc[:1].upper()}{field.doc[1:]}."
    if not field.required and field.default not in (None, [], False):
        help_ += f"  [default: {field.default}]"
    flag = f"--{name.replace('_', '-')}"
    if field.kind is PLAIN_BOOLEAN:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=help_)
    several = isinstance(field.kind, ListOf)
    return click.option(flag, name, metavar=_metavar(field), multiple=several, help=help_)


def _metavar(field: Field[Any]) -> str:
    kind = _inner(field.kind)
    if kind is PLAIN_SIZE:
        return "N|HxW"
    if words := kind.schemas[0].get("enum"):
        return "|".join(words)
    types = {"number": "NUMBER", "integer": "N", "string": "TEXT"}
    return types.get(kind.schemas[0].get("type", ""), "TEXT")


def value_of(name: str, value: Any) -> Any:
    """Return what an option says as a recipe has it.

    Args:
        name: The field.
        value: The text of the option, several texts, or a boolean.

    Raises:
        InputError: It is no size of an input, where it must be one.
    """
    kind: Any = Recipe.fields[name].kind
    if isinstance(value, tuple):
        return [_scalar(_inner(kind), each) for each in value]
    return _scalar(_inner(kind), value) if isinstance(value, str) else value


def _scalar(kind: Any, text: str) -> Any:
    if kind is PLAIN_SIZE:
        found = size(text)
        return list(found) if isinstance(found, tuple) else found
    if kind.schemas[0].get("type") not in ("integer", "number"):
        return text
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def with_options(message: str) -> str:
    """Write the setting that a message begins with as an option.

    Example:
        >>> with_options("batch_size: expected an integer of at least 1, got 0")
        '--batch-size: expected an integer of at least 1, got 0'
    """
    name = re.match(r"\w+", message)
    if name is None or name[0] not in Recipe.fields:
        return message
    return f"--{name[0].replace('_', '-')}{message[name.end() :]}"


def _inner(kind: Any) -> Any:
    """Return the kind of a value that is not null, or of an item of a list."""
    while isinstance(kind, Nullable | ListOf):
        kind = kind.kind
    return kind
