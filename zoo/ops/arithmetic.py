"""The operators and functions of expressions; see ``zoo.ops.expressions``."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from zoo.errors import quoted

MAX_NUMBER = 2**53  # beyond it, a float cannot represent every integer


class ExpressionError(ValueError):
    """An expression is malformed or has no value; the reader of the spec adds file and line."""


class Operator(NamedTuple):
    """A binary operator: its precedence, and the function that it computes."""

    binding: int
    compute: Callable[[Any, Any], Any]


class Function(NamedTuple):
    """A function: its implementation, its number of arguments, and whether these are numbers."""

    compute: Callable[..., Any]
    least: int
    most: int
    numeric: bool = True


def is_number(value: object) -> bool:
    """Tell whether a value is a number; true and false are not."""
    return type(value) is int or type(value) is float


def bounded(value: Any) -> Any:
    """Return a value after checking its magnitude.

    Raises:
        ExpressionError: It is a number beyond ``MAX_NUMBER``.
    """
    if is_number(value) and not abs(value) <= MAX_NUMBER:
        raise ExpressionError(f"a number beyond {MAX_NUMBER}")
    return value


def size(value: object) -> int:
    """Return the number of values or characters that an operation on a value may touch."""
    if isinstance(value, list):
        return len(value) + sum(size(item) for item in value if isinstance(item, list | str))
    return len(value) if isinstance(value, str | dict) else 1


def _of_numbers(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        if not is_number(a) or not is_number(b):
            raise ExpressionError(f"arithmetic needs numbers, got {quoted(a)} and {quoted(b)}")
        try:
            return bounded(compute(a, b))
        except ZeroDivisionError:
            raise ExpressionError("a division by zero") from None

    return apply


def _round_to(value: float, multiple: int) -> int:
    """Round to the nearest multiple, never below 90% of the value (as MobileNet does)."""
    rounded = max(multiple, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * value else rounded


def _sum(values: Any) -> int | float:
    """Add the numbers of a list."""
    if not isinstance(values, list) or not all(map(is_number, values)):
        raise ExpressionError(f"sum takes a list of numbers, got {quoted(values)}")
    return sum(values)


OPERATORS = {
    "or": Operator(1, lambda a, b: a or b),
    "and": Operator(2, lambda a, b: a and b),
    "==": Operator(4, operator.eq),
    "!=": Operator(4, operator.ne),
    "<": Operator(4, _of_numbers(operator.lt)),
    "<=": Operator(4, _of_numbers(operator.le)),
    ">": Operator(4, _of_numbers(operator.gt)),
    ">=": Operator(4, _of_numbers(operator.ge)),
    "+": Operator(5, _of_numbers(operator.add)),
    "-": Operator(5, _of_numbers(operator.sub)),
    "*": Operator(6, _of_numbers(operator.mul)),
    "/": Operator(6, _of_numbers(operator.truediv)),
    "//": Operator(6, _of_numbers(operator.floordiv)),
    "%": Operator(6, _of_numbers(operator.mod)),
}

#: The precedence of ``not`` and of the unary minus.
NOT, NEGATE = 3, 7

FUNCTIONS = {
    "min": Function(min, 2, 8),
    "max": Function(max, 2, 8),
    "abs": Function(abs, 1, 1),
    "int": Function(int, 1, 1),
    "ceil": Function(math.ceil, 1, 1),
    "floor": Function(math.floor, 1, 1),
    "round": Function(round, 1, 1),
    "round_to": Function(_round_to, 2, 2),
    "len": Function(len, 1, 1, numeric=False),
    "sum": Function(_sum, 1, 1, numeric=False),
}
