"""The kinds of values in a spec, each declared once.

Validation, the JSON Schema for editors and the tables of the documentation are derived from the
declarations. Records, which are made of named fields, are in :mod:`zoo.ops.grammar`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from zoo.errors import MAX_WORD, quoted
from zoo.ops.expressions import is_expression
from zoo.ops.operation_hints import normalized

MAX_INT = 1_000_000

EXPRESSION: dict[str, Any] = {"type": "string", "pattern": r"\$", "description": "an expression"}

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_NUMBERS = re.compile(r"[(\[]?[\d.]+(?: ?[x×, ] ?[\d.]+)+[)\]]?")  # 3x3 or (3, 3)
_WORDS = dict.fromkeys(("none", "null", "auto", "default"), "For the default, leave it out.")

_AS_IN_YAML = {None: "nothing", True: "true", False: "false"}

#: The hint on a word where a number is expected.
NAMED = "A value by name is written with a $."


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


class Mismatch(ValueError):  # noqa: N818  # reported by the reader of the file
    """A value does not follow the grammar.

    Attributes:
        problem: What is wrong, without the value.
        value: The value, or ``MISSING`` if quoting it would not help.
        location: The keys that lead to it from the value that was read.
        hint: What to write instead, as a sentence; may be empty.
    """

    def __init__(
        self, problem: str, value: Any = MISSING, *keys: str | int, hint: str = ""
    ) -> None:
        super().__init__(problem)
        self.problem, self.value, self.location, self.hint = problem, value, keys, hint

    def under(self, key: str | int) -> Mismatch:
        """Return the same mismatch as seen from one level up."""
        self.location = (key, *self.location)
        return self

    def __str__(self) -> str:
        return self._text()

    def computed_from(self, written: Any) -> str:
        """Return the message for a value that an expression of the file evaluates to."""
        return self._text(f" from {kind_or_value(written)}")

    def _text(self, origin: str = "") -> str:
        got = "" if self.value is MISSING else f", got {kind_or_value(self.value)}"
        # The expression that computed the value already has a $.
        hint = "" if origin and self.hint == NAMED else self.hint
        return f"{self.problem}{got}{origin}" + (f". {hint}" if hint else "")


def kind_or_value(value: Any) -> str:
    """Show a value in a message: the kind of a mapping or list, anything else quoted.

    Example:
        >>> kind_or_value({"a": 1}), kind_or_value("two"), kind_or_value(None)
        ('a mapping', "'two'", 'nothing')
    """
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _AS_IN_YAML[value] if value is None or isinstance(value, bool) else quoted(value)


class Kind(ABC, Generic[T]):
    """A kind of value."""

    @abstractmethod
    def read(self, value: Any) -> T:
        """Validate a value, and return it in the form that the program uses.

        Raises:
            Mismatch: The value is not of this kind.
        """

    @abstractmethod
    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema; schemas that it refers to are added to ``definitions``."""


class Scalar(Kind[T]):
    """A value that is used as written, or an expression that evaluates to one."""

    def __init__(
        self,
        expected: str,
        accepts: Callable[[Any], Any],
        *schemas: dict[str, Any],
        plain: bool = False,
        words: Mapping[str, str] = {},
    ) -> None:
        """Declare a kind.

        Args:
            expected: A description: "an integer of at least 1".
            accepts: Tells whether a value is of this kind.
            schemas: JSON Schemas; a value must match at least one.
            plain: Whether expressions are excluded.
            words: Normalized word of a framework -> a hint, as a sentence.
        """
        self.expected, self.accepts, self.plain = expected, accepts, plain
        self.words = words
        self.schemas = schemas if plain else (*schemas, EXPRESSION)

    def read(self, value: Any) -> T:
        if self.accepts(value) or (not self.plain and is_expression(value)):
            return value  # type: ignore[no-any-return]  # checked by accepts
        large = type(value) in (int, float) and abs(value) > MAX_INT
        most = f" with a magnitude of at most {MAX_INT:,}" if large else ""
        raise Mismatch(f"expected {self.expected}{most}", value, hint=self._hint(value))

    def _hint(self, value: Any) -> str:
        """Return what to write instead of a value; empty if that is not known."""
        text = str(value) if isinstance(value, str | int) else ""
        if not 0 < len(text) <= MAX_WORD:
            return ""
        if hint := self.words.get(normalized(text)) or _WORDS.get(normalized(text)):
            return hint
        numbers = [int(n) if n.isdecimal() else float(n) for n in _NUMBER.findall(text)]
        if isinstance(value, str) and self.accepts(text.lower()):
            return f"Write {text.lower()!r}."
        if _NUMBERS.fullmatch(text) and self.accepts(numbers):
            return f"Write {numbers}."
        if _NUMBER.fullmatch(text) and self.accepts(numbers[0]):
            return f"Write {text} without quotes."
        return NAMED if text.isidentifier() and not self.plain else ""

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return self.schemas[0] if len(self.schemas) == 1 else {"anyOf": [*self.schemas]}


def one_of(*words: str) -> Scalar[str]:
    """Make the kind whose values are a few words."""
    *others, last = map(repr, words)
    expected = f"{', '.join(others)} or {last}"
    schema = {"enum": [*words]}
    return Scalar(expected, lambda v: isinstance(v, str) and v in words, schema, plain=True)


class Nullable(Kind[T | None]):
    """A kind of value, or null."""

    def __init__(self, kind: Kind[T]) -> None:
        self.kind = kind

    def read(self, value: Any) -> T | None:
        return None if value is None else self.kind.read(value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [self.kind.schema(definitions), {"type": "null"}]}


class ListOf(Kind[list[T]]):
    """A list whose items are of one kind."""

    def __init__(self, kind: Kind[T]) -> None:
        self.kind = kind

    def read(self, value: Any) -> list[T]:
        if not isinstance(value, list):
            raise Mismatch("expected a list", value)
        items = []
        for i, item in enumerate(value):
            try:
                items.append(self.kind.read(item))
            except Mismatch as mismatch:
                raise mismatch.under(i) from None
        return items

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "items": self.kind.schema(definitions)}


class MappingOf(Kind[Mapping[str, T]]):
    """A mapping whose values are of one kind."""

    def __init__(self, kind: Kind[T], *, names: bool = True, empty: bool = True) -> None:
        """Declare a mapping.

        Args:
            kind: The kind of each value.
            names: Whether the keys must be names: letters, digits and ``_``.
            empty: Whether it may be empty.
        """
        self.kind, self.names, self.empty = kind, names, empty

    def read(self, value: Any) -> dict[str, T]:
        if not isinstance(value, dict):
            raise Mismatch("expected a mapping", value)
        if not value and not self.empty:
            raise Mismatch("expected at least one entry, got none")
        items = {}
        for key, item in value.items():
            try:
                if self.names:
                    NAME.read(key)
                items[key] = self.kind.read(item)
            except Mismatch as mismatch:
                raise mismatch.under(key) from None
        return items

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        values = self.kind.schema(definitions)
        schema: dict[str, Any] = {"type": "object"}
        if self.names:
            schema |= {"patternProperties": {f"^{_NAME.pattern}$": values}}
            schema |= {"additionalProperties": False}
        else:
            schema |= {"additionalProperties": values or True}
        return schema if self.empty else schema | {"minProperties": 1}


class Anything(Kind[Any]):
    """Any value at all."""

    def read(self, value: Any) -> Any:
        return value

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {}


NAME: Scalar[str] = Scalar(
    "a name of letters, digits and _, beginning with a letter",
    lambda v: isinstance(v, str) and _NAME.fullmatch(v),
    {"type": "string", "pattern": f"^{_NAME.pattern}$"},
    plain=True,
)
