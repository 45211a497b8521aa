"""Reads settings by name, from a YAML file and from arguments."""

from __future__ import annotations

from collections.abc import Mapping
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


def read(kind: type[Kind], values: Mapping[str, Any], file: str | Path | None = None) -> Kind:
    """Return a record of settings.

    Args:
        kind: The record.
        values: The settings by name; None counts as not given.
        file: A YAML file with those that are not among them.

    Raises:
        InputError: Names the setting, and what it must be.
        SpecError: It is one of the file, whose line is named.
    """
    contents = document.read(file) if file is not None else document.Mapping()
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        if type(value) is int and value.bit_length() > arguments.MAX_BITS:
            raise arguments.wrong(name, "a number of reasonable size", value)
    try:
        return kind.read({**contents, **given}).checked()
    except Mismatch as mismatch:
        if file is not None and mismatch.location[:1] not in {(name,) for name in given}:
            raise document.error(contents, mismatch.location, str(mismatch)) from None
        place = ".".join(map(str, mismatch.location))
        raise InputError(f"{place}: {mismatch}" if place else str(mismatch)) from None


def schema(kind: type[Settings], title: str) -> dict[str, Any]:
    """Return the JSON Schema of a record, for editors and for the options of a command."""
    definitions: dict[str, Any] = {}
    kind.schema(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **definitions[kind.__name__],
    }
