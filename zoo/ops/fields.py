"""The kinds of values in layers, and the fields that every layer has.

Each kind accepts a value or an expression. So the same declarations validate a file as written and,
once every expression has been evaluated, the resulting values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zoo.ops.expressions import is_expression
from zoo.ops.field_hints import BOOLEANS, PADDINGS
from zoo.ops.grammar import Field, Record
from zoo.ops.kinds import EXPRESSION, MAX_INT, Anything, Kind, ListOf, MappingOf, Nullable, Scalar

MAX_REPEAT = 1_000
CLASS_LISTS = ("imagenet", "imagenet_with_background")  # defined in zoo.data.classes


def _is_int(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value <= MAX_INT


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_INT


def _is_list_of(accepts: Callable[[Any], bool], value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(map(accepts, value))


def _ints(least: int, lengths: tuple[int, ...]) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        if isinstance(value, list):
            return len(value) in lengths and all(
                _is_int(v, least) or is_expression(v) for v in value
            )
        return _is_int(value, least)

    return accepts


def _int_schema(least: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": MAX_INT}


def _list_schema(least: int, length: int) -> dict[str, Any]:
    items = {"anyOf": [_int_schema(least), EXPRESSION]}
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


def _is_crop(value: Any) -> bool:
    if _is_list_of(lambda n: _is_int(n, 1), value, 2):
        return _is_crop(value[0] / value[1])
    return _is_number(value) and 0.1 <= value <= 1


def exactly(constant: int, expected: str) -> Scalar[int]:
    """Make the kind of one integer, which excludes ``true`` and ``1.0``."""
    return Scalar(
        expected, lambda v: type(v) is int and v == constant, {"const": constant}, plain=True
    )


POSITIVE: Kind[int] = Scalar("an integer of at least 1", lambda v: _is_int(v, 1), _int_schema(1))
NATURAL: Kind[int] = Scalar("an integer of at least 0", _is_int, _int_schema(0))
NATURALS: Kind[list[int]] = Scalar(
    "a list of integers of at least 0",
    lambda v: isinstance(v, list) and v and _ints(0, (len(v),))(v),
    {"type": "array", "minItems": 1, "items": {"anyOf": [_int_schema(0), EXPRESSION]}},
)
BEFORE_AFTER: Kind[int | list[int]] = Scalar(
    "an integer of at least 0, or [before, after]",
    _ints(0, (2,)),
    _int_schema(0),
    _list_schema(0, 2),
    words=dict.fromkeys(PADDINGS, "Write how many channels of zeros to add."),
)
NUMBER: Kind[float] = Scalar("a number", _is_number, {"type": "number"})
RATE: Kind[float] = Scalar(
    "a number from 0 to 1",
    lambda v: _is_number(v) and 0 <= v <= 1,
    {"type": "number", "minimum": 0, "maximum": 1},
)
BOOLEAN: Kind[bool] = Scalar(
    "true or false", lambda v: isinstance(v, bool), {"type": "boolean"}, words=BOOLEANS
)
PAIR: Kind[int | list[int]] = Scalar(
    "an integer of at least 1, or [height, width]",
    _ints(1, (2,)),
    _int_schema(1),
    _list_schema(1, 2),
)
PADDING: Kind[int | str | list[int]] = Scalar(
    "an integer, [height, width], [top, bottom, left, right] or same",
    lambda v: v == "same" or _ints(0, (2, 4))(v),
    _int_schema(0),
    _list_schema(0, 2),
    _list_schema(0, 4),
    {"const": "same"},
    words=PADDINGS,
)
EDGES: Kind[int | list[int]] = Scalar(
    "an integer, [height, width] or [top, bottom, left, right], negative to crop",
    _ints(-MAX_INT, (2, 4)),
    _int_schema(-MAX_INT),
    _list_schema(-MAX_INT, 2),
    _list_schema(-MAX_INT, 4),
    words=dict.fromkeys(PADDINGS, "Write the numbers: [top, bottom, left, right]."),
)
COUNT: Kind[int | list[Any]] = Scalar(
    "an integer of at least 0, or a list",
    lambda v: isinstance(v, list) or _is_int(v),
    _int_schema(0),
    {"type": "array"},
)
VALUE: Kind[Any] = Scalar(
    "a number, a word, true, false or a list of them",
    lambda v: not isinstance(v, dict),
    {"type": ["number", "string", "boolean", "array", "null"]},
    plain=True,
)

# Kinds that do not accept expressions:
TEXT: Kind[str] = Scalar("text", lambda v: isinstance(v, str), {"type": "string"}, plain=True)
PLAIN_BOOLEAN: Kind[bool] = Scalar(
    "true or false", lambda v: isinstance(v, bool), {"type": "boolean"}, plain=True, words=BOOLEANS
)
PLAIN_INTEGER: Kind[int] = Scalar(
    "an integer", lambda v: type(v) is int, {"type": "integer"}, plain=True
)
PLAIN_COUNT: Kind[int] = Scalar(
    "an integer of at least 1", lambda v: _is_int(v, 1), _int_schema(1), plain=True
)
PLAIN_SIZE: Kind[int | list[int]] = Scalar(
    "an integer of at least 1, or [height, width]",
    lambda v: _is_int(v, 1) or _is_list_of(lambda n: _is_int(n, 1), v, 2),
    _int_schema(1),
    {"type": "array", "items": _int_schema(1), "minItems": 2, "maxItems": 2},
    plain=True,
)
PLAIN_NUMBER: Kind[float] = Scalar("a number", _is_number, {"type": "number"}, plain=True)
CROP: Kind[float | list[int]] = Scalar(
    "a number from 0.1 to 1, or two integers with such a quotient, such as [224, 256]",
    _is_crop,
    {"type": "number", "minimum": 0.1, "maximum": 1},
    {"type": "array", "items": _int_schema(1), "minItems": 2, "maxItems": 2},
    plain=True,
)
COLORS: Kind[list[float]] = Scalar(
    "three numbers, for red, green and blue",
    lambda v: _is_list_of(_is_number, v, 3),
    {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
    plain=True,
)
DEVIATIONS: Kind[list[float]] = Scalar(
    "three numbers above 0, for red, green and blue",
    lambda v: _is_list_of(lambda n: _is_number(n) and n > 0, v, 3),
    {
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "minItems": 3,
        "maxItems": 3,
    },
    plain=True,
)
_CLASSES: Kind[str | list[str]] = Scalar(
    f"{', '.join(CLASS_LISTS)}, or a list of names",
    lambda v: (
        v in CLASS_LISTS
        if isinstance(v, str)
        else isinstance(v, list) and all(isinstance(name, str) for name in v)
    ),
    {"enum": [*CLASS_LISTS]},
    {"type": "array", "items": {"type": "string"}},
    plain=True,
)
CLASSES: Kind[str | list[str] | None] = Nullable(_CLASSES)
ANYTHING: Kind[Any] = Anything()
MAPPING: Kind[Mapping[str, Any]] = MappingOf(ANYTHING, names=False)


class _Sources(Kind[str | list[str]]):
    """The name of a layer, or a list of them."""

    def read(self, value: Any) -> str | list[str]:
        return ListOf(TEXT).read(value) if isinstance(value, list) else TEXT.read(value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        single, several = TEXT.schema(definitions), ListOf(TEXT).schema(definitions)
        return {"anyOf": [single, several]}


class Layer(Record):
    """What every layer may have: an operation, the use of a block, or a group of layers."""

    inputs = Field(
        Nullable(_Sources()),
        None,
        key="from",
        doc="the layers that it reads; by default, the previous one",
    )
    when = Field(
        BOOLEAN, True, doc="if false, the layer is omitted, and its name stands for its first input"
    )
    repeat: Field[Any] = Field(
        Nullable(COUNT),
        None,
        doc=f"how many times, or a list with one $item for each repetition; at most {MAX_REPEAT:,}",
    )
    after = Field(
        Nullable(TEXT),
        None,
        doc="for a layer that a variant adds: the existing layer that it follows",
    )
    published = Field(
        Nullable(MAPPING), None, doc="what the paper states about it: output, depth, params, ops"
    )

    @classmethod
    def _definition(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Refer to the common fields instead of repeating them for each operation."""
        definition = super()._definition(definitions)
        if cls is not Layer:
            common = Layer.schema(definitions)["$ref"]
            for key in (k for k, field in Layer.fields.items() if cls.fields[k] is field):
                definition["properties"][key] = {"$ref": f"{common}/properties/{key}"}
        return definition


RESERVED_FIELDS = frozenset(
    {"from", "when", "repeat", "after", "published", "block", "table", "op", "layers"}
)
