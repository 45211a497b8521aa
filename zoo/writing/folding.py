"""Turns expressions of a spec into Python, with what never varies folded to constants."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_WORDS = {"true": "True", "false": "False"}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "int": int,
    "len": len,
    "sum": sum,
}
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

#: The name that stands for the channels of the input.
CHANNELS = "channels_of_input"

#: Name in an expression -> a constant, or Python's text for it; None where it has neither.
Resolve = Callable[[str], Any]


class Text(str):
    """Python's text of an expression, as opposed to a constant string."""


class _UnknownError(Exception):
    pass


def fold(expression: str, resolve: Resolve, constants: Mapping[str, Any]) -> Any:
    """Return an expression as a constant or as Python's :class:`Text`; None if it has none.

    Args:
        expression: An expression of the language of specs.
        resolve: Returns what stands for a parameter: a constant, a ``Text`` or None.
        constants: The settings and options that do not vary.

    Example:
        >>> fold("4 * $channels // $groups", lambda name: Text(name), {"groups": 1})
        '4 * channels'
    """
    plain = re.sub(r"\$input\.(?:channels|features)\b", CHANNELS, expression)
    if "$input" in plain:
        return None
    plain = re.sub(r"\$(\w+)", r"\1", plain)
    plain = re.sub(r"\b(true|false)\b", lambda match: _WORDS[match[1]], plain)
    try:
        folded = _Folder(resolve, constants).fold(ast.parse(plain, mode="eval").body)
    except (_UnknownError, SyntaxError):
        return None
    return _value(folded) if _is_constant(folded) else _text(folded)


class _Folder:
    def __init__(self, resolve: Resolve, constants: Mapping[str, Any]) -> None:
        self.resolve, self.constants = resolve, constants

    def fold(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.BinOp):
            return self.operation(node)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = self.fold(node.left), self.fold(node.comparators[0])
            if _is_constant(left) and _is_constant(right):
                return _constant(_OPERATORS[type(node.ops[0])](_value(left), _value(right)))
            return ast.Compare(left, node.ops, [right])
        if isinstance(node, ast.UnaryOp):
            operand = self.fold(node.operand)
            if _is_constant(operand):
                value = _value(operand)
                return _constant(not value if isinstance(node.op, ast.Not) else -value)
            return ast.UnaryOp(node.op, operand)
        if isinstance(node, ast.BoolOp):
            return self.connective(node)
        if isinstance(node, ast.IfExp):
            test = self.fold(node.test)
            if _is_constant(test):
                return self.fold(node.body if _value(test) else node.orelse)
            return ast.IfExp(test, self.fold(node.body), self.fold(node.orelse))
        if isinstance(node, ast.Subscript):
            return self.item(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.call(node.func.id, [self.fold(argument) for argument in node.args])
        raise _UnknownError

    def name(self, name: str) -> ast.expr:
        value = self.constants[name] if name in self.constants else self.resolve(name)
        if value is None:
            raise _UnknownError
        return ast.parse(value, mode="eval").body if isinstance(value, Text) else _constant(value)

    def operation(self, node: ast.BinOp) -> ast.expr:
        left, right = self.fold(node.left), self.fold(node.right)
        if _is_constant(left) and _is_constant(right):
            a, b = _value(left), _value(right)
            if isinstance(node.op, ast.Div):
                if a % b:
                    raise _UnknownError
                return _constant(int(a // b))
            return _constant(_OPERATORS[type(node.op)](a, b))
        if isinstance(node.op, ast.Div):  # whose integers are floats in Python
            if _is_constant(right) and _value(right) == 1:
                return left
            raise _UnknownError
        if isinstance(node.op, ast.Mult | ast.FloorDiv) and _is(right, 1):
            return left
        if isinstance(node.op, ast.Mult) and _is(left, 1):
            return right
        if isinstance(node.op, ast.Add | ast.Sub) and _is(right, 0):
            return left
        if (
            isinstance(node.op, ast.FloorDiv)
            and isinstance(left, ast.BinOp)
            and isinstance(left.op, ast.Mult)
            and _is_constant(left.right)
            and _is_constant(right)
            and _value(left.right) == _value(right)
        ):
            return left.left
        return ast.BinOp(left, node.op, right)

    def connective(self, node: ast.BoolOp) -> ast.expr:
        decisive = isinstance(node.op, ast.Or)  # the value that decides
        left = []
        for value in map(self.fold, node.values):
            if not _is_constant(value):
                left.append(value)
            elif bool(_value(value)) is decisive:
                return _constant(decisive)
        if not left:
            return _constant(not decisive)
        return left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    def item(self, node: ast.Subscript) -> ast.expr:
        value = self.fold(node.value)
        if isinstance(node.slice, ast.Slice):
            raise _UnknownError
        index = self.fold(node.slice)
        if _is_constant(value) and _is_constant(index):
            return _constant(_value(value)[_value(index)])
        if _is_constant(value):
            raise _UnknownError
        return ast.Subscript(value, index, ast.Load())

    def call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        if name not in _FUNCTIONS:
            raise _UnknownError
        if all(map(_is_constant, arguments)):
            return _constant(_FUNCTIONS[name](*map(_value, arguments)))
        return ast.Call(ast.Name(name), arguments, [])


def _text(node: ast.expr) -> Text:
    plain = ast.unparse(node).replace("'", '"')
    return Text(re.sub(r"\((not \w+)\)", r"\1", plain))


def _constant(value: Any) -> ast.expr:
    return ast.parse(repr(_plain(value)), mode="eval").body


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _is_constant(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _value(node: ast.expr) -> Any:
    return ast.literal_eval(node)


def _is(node: ast.expr, value: int) -> bool:
    return _is_constant(node) and type(_value(node)) is int and _value(node) == value


def value_of(text: Text, values: Mapping[str, Any]) -> Any:
    """Return the value of Python's text of an expression; ABSENT names make it None.

    Example:
        >>> value_of(Text("4 * channels"), {"channels": 8})
        32
    """
    try:
        node = _Folder(lambda name: None, values).fold(ast.parse(text, mode="eval").body)
    except (_UnknownError, SyntaxError):
        return None
    return _value(node) if _is_constant(node) else None
