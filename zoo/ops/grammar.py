"""Records: mappings with known fields, from which reading, schema and documentation follow."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar, overload

from zoo.errors import suggestion
from zoo.ops.kinds import MISSING, Kind, Mismatch

T = TypeVar("T")


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
