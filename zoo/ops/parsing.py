"""Parses expressions; see ``zoo.ops.expressions``.

Each expression is parsed once, however often it is evaluated. The result is a function of the names
that it may read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from zoo.errors import listed, quoted, suggestion
from zoo.ops.arithmetic import (
    FUNCTIONS,
    NEGATE,
    NOT,
    OPERATORS,
    ExpressionError,
    bounded,
    is_number,
    size,
)

MAX_NESTING = 20
_END = "the end of the expression"

#: Counts work; one unit is about the cost of touching one value.
Spend = Callable[[int], None]

#: A compiled expression, or a part of one.
Compute = Callable[[Mapping[str, Any], Spend], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)|(?P<name>\$[A-Za-z_]\w*)"
    r"|(?P<word>[A-Za-z_]\w*)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\""
    r"|(?P<symbol>//|==|!=|<=|>=|[-+*/%<>()\[\].,:]))"
)


class Expression(NamedTuple):
    """A parsed expression: the function that evaluates it, and its number of tokens."""

    compute: Compute
    tokens: int


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Expression:
    """Parse an expression.

    Raises:
        ExpressionError: The expression is malformed.
    """
    tokens = _tokens(text)
    parser = _Parser(tokens)
    compute = parser.expression()
    parser.expect("end")
    return Expression(compute, len(tokens))


def lookup(values: Any, name: str, sign: str = "$") -> Any:
    """Return the value of a name.

    Args:
        values: The known names and their values.
        name: The name.
        sign: The prefix of the name in the message.

    Raises:
        ExpressionError: The name is unknown, or its value is out of bounds.
    """
    if isinstance(values, Mapping) and name in values:
        return bounded(values[name])
    known = list(values) if isinstance(values, Mapping) else []
    hint = suggestion(name, known, sign)
    known_here = hint or f". Known here: {listed(known, sign)}."
    raise ExpressionError(f"unknown name {quoted(sign + name)}{known_here if known else ''}")


class _Parser:
    """A precedence-climbing parser; each method parses a part and returns it compiled."""

    def __init__(self, tokens: tuple[tuple[str, str], ...]) -> None:
        self.tokens = tokens
        self.position = 0
        self.nesting = 0

    def expression(self) -> Compute:
        """Parse ``a if condition else b``; both are evaluated, and one is returned."""
        value_if_true = self.operation(0)
        if self.peek() != "if":
            return value_if_true
        self.advance()
        condition = self.operation(0)
        self.expect("else")
        otherwise = self.expression()

        def choose(names: Mapping[str, Any], spend: Spend) -> Any:
            value, chosen = value_if_true(names, spend), condition(names, spend)
            if not isinstance(chosen, bool):
                raise ExpressionError(f"expected true or false after 'if', got {quoted(chosen)}")
            alternative = otherwise(names, spend)
            return value if chosen else alternative

        return choose

    def operation(self, binding: int) -> Compute:
        """Parse operands and the operators between them that bind more tightly than ``binding``."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ExpressionError(f"nested more than {MAX_NESTING} levels deep")
        result = self.operand()
        while (symbol := self.peek()) in OPERATORS and OPERATORS[symbol].binding > binding:
            self.advance()
            result = _operation(symbol, result, self.operation(OPERATORS[symbol].binding))
        self.nesting -= 1
        return result

    def operand(self) -> Compute:
        kind, token = self.advance()
        if kind == "number":
            number = bounded(float(token) if re.search(r"[.eE]", token) else int(token))
            return lambda names, spend: number
        if kind == "string":
            return lambda names, spend: token
        if token == "(":
            value = self.expression()
            self.expect(")")
        elif token == "-":
            operand, minus = self.operation(NEGATE), OPERATORS["-"].compute
            return lambda names, spend: minus(0, operand(names, spend))
        elif token == "not":
            operand = self.operation(NOT)
            return lambda names, spend: not operand(names, spend)
        elif token in ("true", "false"):
            return lambda names, spend: token == "true"
        elif kind == "word":
            return self.call(token)
        elif kind == "name":
            name = token[1:]

            def value(names: Mapping[str, Any], spend: Spend) -> Any:
                return lookup(names, name)

        else:
            shown = repr(token) if token else _END
            raise ExpressionError(f"expected a value, got {shown}")
        return self.parts(value)

    def parts(self, value: Compute) -> Compute:
        """Parse what follows a value: ``.name``, ``[index]`` or ``[first:last]``."""
        while self.peek() in ("[", "."):
            if self.advance()[1] == ".":
                value = _attribute(value, self.advance()[1])
                continue
            first = last = None
            if is_item := self.peek() != ":":
                first = self.expression()
            if self.peek() == ":":
                is_item = False
                self.advance()
                last = self.expression() if self.peek() != "]" else None
            self.expect("]")
            value = _item(value, first) if is_item and first else _slice(value, first, last)
        return value

    def call(self, name: str) -> Compute:
        if name not in FUNCTIONS:
            hint = suggestion(name, FUNCTIONS) or ". A value by name is written with a $."
            raise ExpressionError(f"unknown function {name!r}{hint}")
        function = FUNCTIONS[name]
        self.expect("(")
        arguments = [self.expression()]
        while self.peek() == ",":
            self.advance()
            arguments.append(self.expression())
        self.expect(")")
        least, most = function.least, function.most
        if not least <= len(arguments) <= most:
            raise ExpressionError(f"{name} takes {least} to {most} arguments, got {len(arguments)}")

        def call(names: Mapping[str, Any], spend: Spend) -> Any:
            values = [argument(names, spend) for argument in arguments]
            spend(4 * sum(map(size, values)))
            if function.numeric:
                valid = all(map(is_number, values))
            else:
                valid = isinstance(values[0], list | str)
            if not valid or (name == "round_to" and values[1] < 1):
                raise ExpressionError(f"{name} is not defined for {', '.join(map(quoted, values))}")
            return bounded(function.compute(*values))

        return call

    def peek(self) -> str:
        kind, token = self.tokens[self.position]
        return token if kind in ("symbol", "word") else ""

    def advance(self) -> tuple[str, str]:
        token = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def expect(self, expected: str) -> None:
        kind, token = self.advance()
        text = "" if expected == "end" else expected
        if kind not in ("end", "symbol", "word") or token != text:
            shown = _END if kind == "end" else repr(token)
            wanted = _END if expected == "end" else repr(expected)
            raise ExpressionError(f"expected {wanted}, got {shown}")


def _operation(symbol: str, left: Compute, right: Compute) -> Compute:
    compute = OPERATORS[symbol].compute

    def operation(names: Mapping[str, Any], spend: Spend) -> Any:
        a, b = left(names, spend), right(names, spend)
        spend(size(a) + size(b))
        return compute(a, b)

    return operation


def _attribute(value: Compute, name: str) -> Compute:
    return lambda names, spend: lookup(value(names, spend), name, ".")


def _item(value: Compute, index: Compute) -> Compute:
    def item(names: Mapping[str, Any], spend: Spend) -> Any:
        values = _list(value(names, spend))
        i = _index(index(names, spend), values, 0)
        if i == len(values):
            raise ExpressionError(f"invalid index {i} for a list of length {len(values)}")
        return values[i]

    return item


def _slice(value: Compute, first: Compute | None, last: Compute | None) -> Compute:
    def items(names: Mapping[str, Any], spend: Spend) -> Any:
        values = _list(value(names, spend))
        start = _index(first(names, spend), values, 0) if first else 0
        end = _index(last(names, spend), values, start) if last else len(values)
        spend(end - start)
        return values[start:end]

    return items


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ExpressionError(f"only a list can be indexed, got {quoted(value)}")
    return value


def _index(index: Any, values: list[Any], least: int) -> int:
    """Check the index of an item, or the start or end of a slice."""
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    if type(index) is not int or not least <= index <= len(values):
        raise ExpressionError(f"invalid index {quoted(index)} for a list of length {len(values)}")
    return index


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
