"""The value types that layers are made of, and what every layer may say.

Each accepts its value or an expression, so the same classes check a file as it is written and,
once every ``$`` has been computed, the values that came out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from zoo.ops.expressions import is_expression

MAX_INT = 1_000_000
CLASS_LISTS = ("imagenet", "imagenet_with_background")  # that zoo.data.classes knows

_EXPRESSION = {"type": "string", "pattern": r"\$", "description": "an expression"}


def _field(
    expected: str, accepts: Callable[[Any], bool], *schemas: dict[str, Any], plain: bool = False
) -> Any:
    """A type that takes what ``accepts`` takes, or unless ``plain`` an expression, and says so."""

    def check(value: Any) -> Any:
        if not accepts(value) and (plain or not is_expression(value)):
            large = type(value) in (int, float) and abs(value) > MAX_INT
            most = f", and none beyond {MAX_INT:,}" if large else ""
            told = {"expected": expected + most}
            raise PydanticCustomError("expected", "expected {expected}", told)
        return value

    schema = {"anyOf": [*schemas] if plain else [*schemas, _EXPRESSION]}
    return Annotated[Any, PlainValidator(check), WithJsonSchema(schema)]


def exactly(constant: int, expected: str) -> Any:
    """A type of one value, to which ``true`` and ``1.0`` are not equal."""
    return _field(
        expected, lambda v: type(v) is int and v == constant, {"const": constant}, plain=True
    )


def _is_int(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value <= MAX_INT


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_INT


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
    items = {"anyOf": [_int_schema(least), _EXPRESSION]}
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


if TYPE_CHECKING:  # what a field holds once its expressions have been computed
    Positive: TypeAlias = int
    Natural: TypeAlias = int
    Naturals: TypeAlias = list[int]
    Naturals2: TypeAlias = int | list[int]
    Number: TypeAlias = float
    Rate: TypeAlias = float
    Boolean: TypeAlias = bool
    Pair: TypeAlias = int | list[int]
    Padding: TypeAlias = int | str | list[int]
    Count: TypeAlias = int | list[Any]
    Value: TypeAlias = Any
    PlainCount: TypeAlias = int
    PlainSize: TypeAlias = int | list[int]
    PlainNumber: TypeAlias = float
    Crop: TypeAlias = float
    Colours: TypeAlias = list[float]
    Deviations: TypeAlias = list[float]
    Classes: TypeAlias = str | list[str] | None
else:
    Positive = _field("an integer of at least 1", lambda v: _is_int(v, 1), _int_schema(1))
    Natural = _field("an integer of at least 0", _is_int, _int_schema(0))
    Naturals = _field(
        "a list of integers of at least 0",
        lambda v: isinstance(v, list) and v and _ints(0, (len(v),))(v),
        {"type": "array", "minItems": 1, "items": {"anyOf": [_int_schema(0), _EXPRESSION]}},
    )
    Naturals2 = _field(
        "an integer of at least 0, or [before, after]",
        _ints(0, (2,)),
        _int_schema(0),
        _list_schema(0, 2),
    )
    Number = _field("a number", _is_number, {"type": "number"})
    Rate = _field(
        "a number from 0 to 1",
        lambda v: _is_number(v) and 0 <= v <= 1,
        {"type": "number", "minimum": 0, "maximum": 1},
    )
    Boolean = _field("true or false", lambda v: isinstance(v, bool), {"type": "boolean"})
    Pair = _field(
        "an integer of at least 1, or [height, width]",
        _ints(1, (2,)),
        _int_schema(1),
        _list_schema(1, 2),
    )
    Padding = _field(
        "an integer, [height, width], [top, bottom, left, right] or same",
        lambda v: v == "same" or _ints(0, (2, 4))(v),
        _int_schema(0),
        _list_schema(0, 2),
        _list_schema(0, 4),
        {"const": "same"},
    )
    Count = _field(
        "an integer of at least 0, or a list",
        lambda v: isinstance(v, list) or _is_int(v),
        _int_schema(0),
        {"type": "array"},
    )
    Value = _field(
        "a number, a word, true, false or a list of them",
        lambda v: not isinstance(v, dict),
        {"type": ["number", "string", "boolean", "array", "null"]},
    )
    # Where no expression can stand:
    PlainCount = _field(
        "an integer of at least 1", lambda v: _is_int(v, 1), _int_schema(1), plain=True
    )
    PlainSize = _field(
        "an integer of at least 1, or [height, width]",
        lambda v: not is_expression(str(v)) and _ints(1, (2,))(v),
        _int_schema(1),
        _list_schema(1, 2),
        plain=True,
    )
    PlainNumber = _field("a number", _is_number, {"type": "number"}, plain=True)
    Crop = _field(
        "a number from 0.1 to 1",
        lambda v: _is_number(v) and 0.1 <= v <= 1,
        {"type": "number", "minimum": 0.1, "maximum": 1},
        plain=True,
    )
    Colours = _field(
        "three numbers, for red, green and blue",
        lambda v: isinstance(v, list) and len(v) == 3 and all(map(_is_number, v)),
        {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
        plain=True,
    )
    Deviations = _field(
        "three numbers above 0, for red, green and blue",
        lambda v: isinstance(v, list) and len(v) == 3 and all(_is_number(n) and n > 0 for n in v),
        {
            "type": "array",
            "items": {"type": "number", "exclusiveMinimum": 0},
            "minItems": 3,
            "maxItems": 3,
        },
        plain=True,
    )
    Classes = _field(
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


class Strict(BaseModel):
    """Base of everything in a spec: unknown fields are errors, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


class Layer(Strict):
    """What any layer may say, whether an operation, the use of a block, or a group of layers."""

    inputs: str | list[str] | None = Field(
        None, alias="from", description="the layers it reads; the one before it if not given"
    )
    when: Boolean = Field(
        True, description="if false the layer is left out: it stands for its (first) input"
    )
    repeat: Count | None = Field(
        None, description="a number of times, or a list of which each time takes one $item"
    )
    after: str | None = Field(None, description="in a variant: where a new layer goes")
    published: dict[str, Any] | None = Field(
        None, description="what the paper states of it: output, depth, params, ops"
    )


RESERVED_FIELDS = frozenset(
    {"from", "when", "repeat", "after", "published", "block", "table", "op", "layers"}
)
