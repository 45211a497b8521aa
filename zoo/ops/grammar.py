"""The machinery of the grammar: what a value may be, and records made of named fields.

A kind of value and a field are each declared once. Reading a file, the JSON Schema for editors and
the tables of the documentation all follow from the declaration.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar, overload

from zoo.errors import quoted, suggestion
from zoo.ops.expressions import is_expression

MAX_INT = 1_000_000

EXPRESSION: dict[str, Any] = {"type": "string", "pattern": r"\$", "description": "an expression"}

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


class Mismatch(ValueError):  # noqa: N818  # a finding, which the reader of the file reports
    """A value does not follow the grammar.

    Attributes:
        problem: What is wrong, without the value.
        value: The value, or ``MISSING`` where quoting it would not help.
        location: Where it is, from the value that was read.
    """

    def __init__(self, problem: str, value: Any = MISSING, *keys: str | int) -> None:
        super().__init__(problem)
        self.problem, self.value, self.location = problem, value, keys

    def under(self, key: str | int) -> Mismatch:
        """Return the same mismatch as seen from one level up."""
        self.location = (key, *self.location)
        return self

    def __str__(self) -> str:
        return self.problem + (
            "" if self.value is MISSING else f", got {kind_or_value(self.value)}"
        )


def kind_or_value(value: Any) -> str:
    """Show a value in a message: a mapping or a list by what it is, anything else quoted.

    Example:
        >>> kind_or_value({"a": 1}), kind_or_value("two")
        ('a mapping', "'two'")
    """
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else quoted(value)


class Kind(Generic[T]):
    """What a value may be."""

    def read(self, value: Any) -> T:
        """Return the value as the program uses it.

        Raises:
            Mismatch: It is not of this kind.
        """
        raise NotImplementedError

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema; what it refers to is added to ``definitions``."""
        raise NotImplementedError


class Scalar(Kind[T]):
    """A value that is used as it is written, or an expression that gives one."""

    def __init__(
        self,
        expected: str,
        accepts: Callable[[Any], Any],
        *schemas: dict[str, Any],
        plain: bool = False,
    ) -> None:
        """Declare a kind.

        Args:
            expected: What it is, in words: "an integer of at least 1".
            accepts: Tells whether a value is of this kind.
            schemas: JSON Schemas of which a value fits at least one.
            plain: Whether no expression can stand here.
        """
        self.expected, self.accepts, self.plain = expected, accepts, plain
        self.schemas = schemas if plain else (*schemas, EXPRESSION)

    def read(self, value: Any) -> T:
        if self.accepts(value) or (not self.plain and is_expression(value)):
            return value  # type: ignore[no-any-return]  # that is what accepts has checked
        large = type(value) in (int, float) and abs(value) > MAX_INT
        most = f", and none beyond {MAX_INT:,}" if large else ""
        raise Mismatch(f"expected {self.expected}{most}", value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return self.schemas[0] if len(self.schemas) == 1 else {"anyOf": [*self.schemas]}


def one_of(*words: str) -> Scalar[str]:
    """Make the kind that is one of a few words."""
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
            kind: Of each value.
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


class Field(Generic[T]):
    """A named value of a record; on an instance, its value.

    Attributes:
        kind: What it may be.
        default: What it is if not given; ``MISSING`` if it must be given.
        key: How files write it, where that cannot be a name in Python, such as ``from``.
        doc: What it is for.
        name: The attribute.
    """

    name: str

    def __init__(
        self, kind: Kind[T], default: T = MISSING, *, key: str = "", doc: str = ""
    ) -> None:
        self.kind, self.default, self.key, self.doc = kind, default, key, doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.key = name, self.key or name

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING

    @overload
    def __get__(self, record: None, owner: type) -> Self: ...
    @overload
    def __get__(self, record: Record, owner: type) -> T: ...

    def __get__(self, record: Record | None, owner: type) -> Self | T:
        # Values that were given are in the instance's own dict, which Python looks at first.
        return self if record is None else self.default

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema of the value, with its default and documentation."""
        schema = dict(self.kind.schema(definitions))
        if not self.required:
            schema["default"] = plain(self.default)
        return schema | ({"description": self.doc} if self.doc else {})


class Record:
    """A mapping with known fields, which are attributes. It cannot be changed.

    A subclass declares each field as ``name = Field(kind, default)``. A file may hold no others,
    unless ``extra`` is set.
    """

    #: Key -> field, those of base classes first.
    fields: ClassVar[Mapping[str, Field[Any]]] = {}
    #: Whether other keys are allowed.
    extra: ClassVar[bool] = False
    #: The values of the other keys, where they are allowed.
    given_extra: Mapping[str, Any] = {}
    #: Keys that say which record it is; they are no fields.
    tags: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        own = {f.key: f for f in vars(cls).values() if isinstance(f, Field)}
        cls.fields = {**cls.fields, **own}

    def __init__(self, **values: Any) -> None:
        """Make a record of attributes that are known to be right; see :meth:`read`."""
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    @classmethod
    def read(cls, value: Any) -> Self:
        """Make a record of plain data.

        Unknown fields are reported first: a misspelt one is missing, too, and says more.

        Raises:
            Mismatch: The data does not follow the grammar.
        """
        if not isinstance(value, dict):
            raise Mismatch("expected a mapping", value)
        fields, values, extra = cls.fields, {}, {}
        for key in value:
            if key not in fields and key not in cls.tags:
                if not cls.extra:
                    raise Mismatch(cls.unknown(key), MISSING, key)
                extra[key] = value[key]
        for key, item in value.items():
            if key in fields:
                field = fields[key]
                try:
                    values[field.name] = field.kind.read(item)
                except Mismatch as mismatch:
                    raise mismatch.under(key) from None
        for key, field in fields.items():
            if field.required and key not in value:
                raise cls.missing(key)
        record = cls(**values)
        if extra:
            record.__dict__["given_extra"] = extra
        return record

    @classmethod
    def unknown(cls, key: str) -> str:
        """Say what is wrong with a key that is no field."""
        if key == "<<":
            return "merge keys are not read; write the fields, or use a variant"
        if not key.isidentifier():
            return "unknown field. Within { }, text that has a comma needs quotes."
        return f"unknown field.{suggestion(key, cls.fields)}"

    @classmethod
    def missing(cls, key: str) -> Mismatch:
        """Return the mismatch that a missing field is."""
        return Mismatch("missing; it must be given", MISSING, key)

    def to_dict(self, exclude: Collection[str] = (), exclude_none: bool = False) -> dict[str, Any]:
        """Return the fields as new plain data, by attribute, defaults included."""
        values = {f.name: plain(getattr(self, f.name)) for f in self.fields.values()}
        return {
            name: value
            for name, value in values.items()
            if name not in exclude and not (exclude_none and value is None)
        }

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # it holds lists and mappings

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({values})"

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return a reference to the JSON Schema of the record, which is in ``definitions``."""
        name = cls.__name__
        if name not in definitions:
            definitions[name] = {}  # it may refer to itself
            definitions[name] = cls._definition(definitions)
        return {"$ref": f"#/$defs/{name}"}

    @classmethod
    def _definition(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        properties = {key: f.schema(definitions) for key, f in cls.fields.items()}
        return {
            "description": inspect.cleandoc(cls.__doc__ or ""),
            "type": "object",
            "properties": properties,
            "required": [key for key, field in cls.fields.items() if field.required],
            "additionalProperties": cls.extra,
        }


R = TypeVar("R", bound=Record)


class RecordOf(Kind[R]):
    """A mapping with the fields of a record."""

    def __init__(self, record: type[R]) -> None:
        self.record = record

    def read(self, value: Any) -> R:
        return self.record.read(value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return self.record.schema(definitions)


def plain(value: Any) -> Any:
    """Return a value with records, mappings and lists in it as new plain data."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
