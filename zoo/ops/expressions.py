"""The small arithmetic of specs: any string that contains ``$`` is an expression.

    $out_channels                     a value by name
    $kernel_size // 2                 integer arithmetic: + - * // %, and / for a true quotient
    $stride != 1 or not $batch_norm   comparisons, and, or, not
    $stride if $index == 0 else 1     one of two values
    $rates[$index]                    an item of a list, counted from 0
    sum($depths[:$index])             some of its items: from the first, to before the second number
    $input.channels                   a part of a value
    round_to($width * $scale, 8)      min, max, abs, int, ceil, floor, round, round_to, len, sum

There are no loops, no definitions and no powers, and every number is bounded, so an expression
always ends, quickly. Nothing is handed to Python's own ``eval``.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from zoo.errors import listed, quoted, suggestion

MAX_LENGTH = 200
MAX_NUMBER = 2**53  # beyond it a float no longer holds every integer
MAX_NESTING = 20
MAX_WORK = 6_000_000  # units of some 0.1 microseconds
WORK_OF_TOKEN = 30


class ExpressionError(ValueError):
    """An expression is malformed or has no value; the reader of the spec adds file and line."""


class Budget:
    """Counts the work of one expansion, so that no spec runs for long.

    The unit is about what touching one value costs. Work is counted, never timed: a spec is
    accepted or refused alike on every machine.
    """

    def __init__(self, work: int = MAX_WORK) -> None:
        self.left = work

    def spend(self, work: int) -> None:
        """Count work.

        Raises:
            ExpressionError: More than the budget has been spent.
        """
        self.left -= work
        if self.left < 0:
            raise ExpressionError(
                f"the spec needs too much work to expand (more than {MAX_WORK:,} steps);"
                " use fewer or shorter lists, settings, parameters or repetitions"
            )


def is_expression(value: object) -> bool:
    """Tell whether a YAML value is an expression."""
    return isinstance(value, str) and "$" in value


def evaluate(text: str, names: Mapping[str, Any], budget: Budget | None = None) -> Any:
    """Compute an expression.

    Args:
        text: The expression, at most ``MAX_LENGTH`` characters.
        names: What ``$name`` may stand for.
        budget: What the expansion may still spend; one of its own if not given.

    Returns:
        An int, float, bool, string or list.

    Raises:
        ExpressionError: The text is malformed, a name is unknown, or a number out of bounds.

    Example:
        >>> evaluate("round_to($width * 1.4, 8) // 2", {"width": 32})
        24
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression of more than {MAX_LENGTH} characters")
    budget = budget or Budget()
    alone = _ALONE.fullmatch(text)
    if alone and alone[1] in names:  # as most expressions are
        budget.spend(2 * WORK_OF_TOKEN)
        return _bounded(names[alone[1]])
    parser = _Parser(text, names, budget)
    value = parser.expression()
    parser.expect("end")
    return value


_ALONE = re.compile(r"\$([A-Za-z_]\w*)")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)|(?P<name>\$[A-Za-z_]\w*)"
    r"|(?P<word>[A-Za-z_]\w*)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\""
    r"|(?P<symbol>//|==|!=|<=|>=|[-+*/%<>()\[\].,:]))"
)


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        if not _is_number(a) or not _is_number(b):
            raise ExpressionError(f"arithmetic needs numbers, got {quoted(a)} and {quoted(b)}")
        return _bounded(function(a, b))

    return apply


# symbol -> (how tightly it binds, what it does)
_BINARY: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "or": (1, lambda a, b: a or b),
    "and": (2, lambda a, b: a and b),
    "==": (4, operator.eq),
    "!=": (4, operator.ne),
    "<": (4, _binary(operator.lt)),
    "<=": (4, _binary(operator.le)),
    ">": (4, _binary(operator.gt)),
    ">=": (4, _binary(operator.ge)),
    "+": (5, _binary(operator.add)),
    "-": (5, _binary(operator.sub)),
    "*": (6, _binary(operator.mul)),
    "/": (6, _binary(operator.truediv)),
    "//": (6, _binary(operator.floordiv)),
    "%": (6, _binary(operator.mod)),
}
_NOT, _NEGATE = 3, 7


def _round_to(value: float, multiple: int) -> int:
    """Round to the nearest multiple, never below 90 % of the value (as MobileNet does)."""
    rounded = max(multiple, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * value else rounded


def _sum(values: Any) -> int | float:
    """Add the numbers of a list."""
    if not isinstance(values, list) or not all(map(_is_number, values)):
        raise ExpressionError(f"sum takes a list of numbers, got {quoted(values)}")
    return sum(values)


# name -> (function, least arguments, most arguments, takes numbers)
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int, bool]] = {
    "min": (min, 2, 8, True),
    "max": (max, 2, 8, True),
    "abs": (abs, 1, 1, True),
    "int": (int, 1, 1, True),
    "ceil": (math.ceil, 1, 1, True),
    "floor": (math.floor, 1, 1, True),
    "round": (round, 1, 1, True),
    "round_to": (_round_to, 2, 2, True),
    "len": (len, 1, 1, False),
    "sum": (_sum, 1, 1, False),
}


class _Parser:
    """A precedence-climbing parser that computes while it reads."""

    def __init__(self, text: str, names: Mapping[str, Any], budget: Budget) -> None:
        self.names, self.budget = names, budget
        self.tokens = _tokens(text)
        budget.spend(WORK_OF_TOKEN * len(self.tokens))
        self.position = 0
        self.nesting = 0

    def expression(self) -> Any:
        """Read as far as ``a if condition else b`` goes; both are computed, one is taken."""
        value = self.parse(0)
        if self.peek() != "if":
            return value
        self.advance()
        condition = self.parse(0)
        if not isinstance(condition, bool):
            raise ExpressionError(f"expected true or false after 'if', got {quoted(condition)}")
        self.expect("else")
        other = self.expression()
        return value if condition else other

    def parse(self, binding: int) -> Any:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ExpressionError(f"nested more than {MAX_NESTING} levels deep")
        value = self.operand()
        while (symbol := self.peek()) in _BINARY and _BINARY[symbol][0] > binding:
            self.advance()
            level, function = _BINARY[symbol]
            other = self.parse(level)
            self.budget.spend(_size(value) + _size(other))
            try:
                value = function(value, other)
            except ZeroDivisionError:
                raise ExpressionError("a division by zero") from None
        self.nesting -= 1
        return value

    def operand(self) -> Any:
        kind, token = self.advance()
        if kind == "number":
            return _bounded(float(token) if re.search(r"[.eE]", token) else int(token))
        if kind == "string":
            return token
        if token == "(":
            value = self.expression()
            self.expect(")")
        elif token == "-":
            return _binary(operator.sub)(0, self.parse(_NEGATE))
        elif token == "not":
            return not self.parse(_NOT)
        elif token in ("true", "false"):
            return token == "true"
        elif kind == "word":
            return self.call(token)
        elif kind == "name":
            value = self.lookup(self.names, token[1:], "$")
        else:
            raise ExpressionError(f"expected a value, got {token or 'the end'!r}")
        return self.parts(value)

    def parts(self, value: Any) -> Any:
        while self.peek() in ("[", "."):
            if self.advance()[1] == ".":
                value = self.lookup(value, self.advance()[1], ".")
                continue
            if not isinstance(value, list):
                raise ExpressionError(f"only a list has items, got {quoted(value)}")
            first = self.index(value, 0) if self.peek() != ":" else 0
            if self.peek() == ":":
                self.advance()
                last = self.index(value, first) if self.peek() != "]" else len(value)
                self.budget.spend(last - first)
                value = value[first:last]
            elif first < len(value):
                value = value[first]
            else:
                raise ExpressionError(f"item {first} of a list of {len(value)}")
            self.expect("]")
        return value

    def index(self, values: list[Any], least: int) -> int:
        """Read where in a list an item is, or where some of its items begin or end."""
        index = self.expression()
        if isinstance(index, float) and index.is_integer():
            index = int(index)
        if type(index) is not int or not least <= index <= len(values):
            raise ExpressionError(f"item {quoted(index)} of a list of {len(values)}")
        return index

    def call(self, name: str) -> Any:
        if name not in _FUNCTIONS:
            hint = suggestion(name, _FUNCTIONS) or " A value by name is written with a $."
            raise ExpressionError(f"unknown function {name!r}.{hint}")
        function, least, most, numeric = _FUNCTIONS[name]
        self.expect("(")
        arguments = [self.expression()]
        while self.peek() == ",":
            self.advance()
            arguments.append(self.expression())
        self.expect(")")
        if not least <= len(arguments) <= most:
            raise ExpressionError(f"{name} takes {least} to {most} arguments, got {len(arguments)}")
        self.budget.spend(4 * sum(map(_size, arguments)))
        good = map(_is_number, arguments) if numeric else (isinstance(arguments[0], list | str),)
        if not all(good) or (name == "round_to" and arguments[1] < 1):
            raise ExpressionError(f"{name} cannot be taken of {', '.join(map(quoted, arguments))}")
        return _bounded(function(*arguments))

    def lookup(self, values: Any, name: str, sign: str) -> Any:
        if not isinstance(values, Mapping) or name not in values:
            known = list(values) if isinstance(values, Mapping) else []
            hint = suggestion(name, known)
            known_here = hint or f" Known here: {listed(known, sign)}."
            raise ExpressionError(
                f"unknown name {quoted(sign + name)}.{known_here if known else ''}"
            )
        return _bounded(values[name])

    def peek(self) -> str:
        kind, token = self.tokens[self.position]
        return token if kind in ("symbol", "word") else ""

    def advance(self) -> tuple[str, str]:
        token = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def expect(self, wanted: str) -> None:
        kind, token = self.advance()
        if kind not in ("end", "symbol", "word") or token != ("" if wanted == "end" else wanted):
            shown = "the end" if kind == "end" else repr(token)
            raise ExpressionError(
                f"expected {'the end' if wanted == 'end' else repr(wanted)}, got {shown}"
            )


@functools.lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[tuple[str, str], ...]:
    tokens: list[tuple[str, str]] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ExpressionError(f"cannot read {text[position : position + 20].strip()!r}")
        kind = str(match.lastgroup)
        tokens.append(("string" if kind in ("single", "double") else kind, match[kind]))
        position = match.end()
    return (*tokens, ("end", ""))


def _size(value: object) -> int:
    """Return how many values or characters an operation on a value may touch."""
    if isinstance(value, list):
        return len(value) + sum(_size(item) for item in value if isinstance(item, list | str))
    return len(value) if isinstance(value, str | dict) else 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounded(value: Any) -> Any:
    if _is_number(value) and not abs(value) <= MAX_NUMBER:
        raise ExpressionError(f"a number beyond {MAX_NUMBER}")
    return value
