"""Reads settings by name, from a YAML file and from arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from zoo import arguments
from zoo.errors import InputError
from zoo.language import document
from zoo.ops.kinds import Mismatch


class Settings(Protocol):
    """A record of settings."""

    @classmethod
    def read(cls, value: Any) -> Self:
        """Return the record of a mapping."""

    def checked(self) -> Self:
        """Return it after checking what fields say together."""

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Add its JSON Schema, and return a reference."""


Kind = TypeVar("Kind", bound=Settings)


def read(
    kind: type[Kind],
    values: Mapping[str, Any],
    file: str | Path | None = None,
    check: Callable[[Kind], Kind] | None = None,
) -> Kind:
    """Return a record of settings.

    Args:
        kind: The record.
        values: The settings by name, numbers of NumPy among them; None counts as not given.
        file: A YAML file with those that are not among them.
        check: What checks the record in place of its method ``checked``.

    Raises:
        InputError: Names the setting, and what it must be.
        SpecError: It is one of the file, whose line is named.
    """
    contents = document.read(file) if file is not None else document.Mapping()
    given = {name: _plain(value) for name, value in values.items() if value is not None}
    for name, value in given.items():
        if type(value) is int and value.bit_length() > arguments.MAX_BITS:
            raise arguments.wrong(name, "a number of reasonable size", value)
    try:
        record = kind.read({**contents, **given})
        return record.checked() if check is None else check(record)
    except Mismatch as mismatch:
        if file is not None and mismatch.location[:1] not in {(name,) for name in given}:
            raise document.error(contents, mismatch.location, str(mismatch)) from None
        place = ".".join(map(str, mismatch.location))
        raise InputError(f"{place}: {mismatch}" if place else str(mismatch)) from None
    except InputError as error:
        message = str(error)
        # Of settings that do not fit together, a message names the one to change first.
        words = re.findall(r"\w+", message)
        first = next((word for word in words if word in {**contents, **given}), "")
        if first in given or first not in contents:
            raise
        raise document.error(contents, (first,), message.removeprefix(f"{first}: ")) from None


def _plain(value: Any) -> Any:
    """Return a number of NumPy, or one in a list, as one of Python."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    of_numpy = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    return value.item() if of_numpy else value


def schema(kind: type[Settings], title: str) -> dict[str, Any]:
    """Return the JSON Schema of a record, for editors and for the options of a command."""
    definitions: dict[str, Any] = {}
    kind.schema(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **definitions[kind.__name__],
    }
