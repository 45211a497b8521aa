"""Records: mappings with known fields, which define reading, schema and documentation."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar, overload

from zoo.errors import listed, suggestion
from zoo.ops.kinds import MISSING, Kind, Mismatch

T = TypeVar("T")

#: The message for a part of a value, which YAML takes for a key: ``{about: one, two}``.
_SPLIT = "unknown field. Within { }, text that has a comma needs quotes. A list is written [3, 3]."


class Field(Generic[T]):
    """A named value of a record; on an instance, its value.

    Attributes:
        kind: The kind of value.
        default: The value if none is given; ``MISSING`` if one is required.
        key: The key in files, if it cannot be a name in Python, such as ``from``.
        doc: The documentation.
        name: The name of the attribute.
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
        """Whether a value is required."""
        return self.default is MISSING

    @overload
    def __get__(self, record: None, owner: type) -> Self: ...
    @overload
    def __get__(self, record: Record, owner: type) -> T: ...

    def __get__(self, record: Record | None, owner: type) -> Self | T:
        # Values that were given are in the dict of the instance, which takes precedence.
        return self if record is None else self.default

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema of the value, with its default and documentation."""
        schema = dict(self.kind.schema(definitions))
        if not self.required:
            schema["default"] = plain(self.default)
        return schema | ({"description": self.doc} if self.doc else {})


class Record:
    """An immutable mapping with known fields, which are attributes.

    A subclass declares each field as ``name = Field(kind, default)``. Other keys are errors, unless
    ``extra`` is set.
    """

    #: Key -> field, with the fields of base classes first.
    fields: ClassVar[Mapping[str, Field[Any]]] = {}
    #: Whether other keys are allowed.
    extra: ClassVar[bool] = False
    #: The values of other keys, if they are allowed.
    given_extra: Mapping[str, Any] = {}
    #: Keys that identify the record and are not fields.
    tags: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        declared = {f.key: f for f in vars(cls).values() if isinstance(f, Field)}
        cls.fields = {**cls.fields, **declared}

    def __init__(self, **values: Any) -> None:
        """Make a record from valid values; :meth:`read` validates them."""
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    @classmethod
    def read(cls, value: Any) -> Self:
        """Make a record from plain data.

        Unknown fields are reported before missing ones: a misspelled field is both.

        Raises:
            Mismatch: The data does not follow the grammar.
        """
        if not isinstance(value, dict):
            raise Mismatch("expected a mapping", value)
        fields, values, extra = cls.fields, {}, {}
        for key in value:
            if key not in fields and key not in cls.tags:
                if not cls.extra:
                    split = value[key] is None and not key.isidentifier()
                    raise Mismatch(_SPLIT if split else cls.unknown(key), MISSING, key)
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
        """Return the error message for a key that is not a field."""
        if key == "<<":
            return "merge keys are not supported; write the fields, or use a variant"
        known = cls.known()
        return f"unknown field{suggestion(key, known) or f'. Known: {listed(known)}.'}"

    @classmethod
    def known(cls) -> list[str]:
        """Return the keys that a message names."""
        return list(cls.fields)

    @classmethod
    def missing(cls, key: str) -> Mismatch:
        """Return the mismatch for a missing field."""
        return Mismatch("required field is missing", MISSING, key)

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

    __hash__ = None  # type: ignore[assignment]  # it contains lists and mappings

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({values})"

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return a reference to the JSON Schema of the record, which is in ``definitions``."""
        name = cls.__name__
        if name not in definitions:
            definitions[name] = {}  # set first: a record may refer to itself
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
    """Return a value as new plain data, with its records, mappings and lists converted."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
