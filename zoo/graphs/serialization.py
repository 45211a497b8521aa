"""Graphs as plain data, for JSON: for files, other processes and other packages.

The format has a version. A shape is a mapping from the names of its axes. Everything else has the
names that the classes of this package document.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from zoo.errors import InputError, quoted, suggestion
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import KINDS, Map, NodeShape


def plain(value: Any) -> Any:
    """Convert dataclasses, shapes, mappings and lists to the dicts and lists of JSON.

    Example:
        >>> plain({"shape": Map(64, 7, 7), "padding": (0, 1)})
        {'shape': {'channels': 64, 'height': 7, 'width': 7}, 'padding': [0, 1]}
    """
    if isinstance(value, KINDS):
        return value._asdict()
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


_COUNT = _is_count, "a positive integer"
_NUMBER = _is_number, "a number"
_PAIR = _is_pair, "two positive integers"

#: Attributes that several operations have, or that drawings show -> test, and what was expected.
_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "kernel_size": _PAIR,
    "stride": _PAIR,
    "dilation": _PAIR,
    "in_channels": _COUNT,
    "out_channels": _COUNT,
    "groups": _COUNT,
    "rate": _NUMBER,
    "factor": _NUMBER,
}


class Reader:
    """A value of the data and its path. Each method checks the type of the value and returns it.

    Raises:
        InputError: The value has another type; the message has the path and what was expected.
    """

    def __init__(self, value: Any, path: str) -> None:
        self.value, self.path = value, path

    def fail(self, expected: str) -> NoReturn:
        raise InputError(f"not a graph: {self.path}: expected {expected}, got {self.value!r:.60}")

    def __getitem__(self, key: str) -> Reader:
        return Reader(self.value[key], f"{self.path}.{key}")

    def items(self) -> list[Reader]:
        """The items of a list."""
        if not isinstance(self.value, list):
            self.fail("a list")
        return [Reader(item, f"{self.path}[{i}]") for i, item in enumerate(self.value)]

    def fields(self, kind: type) -> dict[str, Reader]:
        """The fields of a mapping that represents a dataclass; none may be missing or unknown."""
        names = [field.name for field in dataclasses.fields(kind)]
        if not isinstance(self.value, dict):
            self.fail(f"a mapping of {', '.join(names)}")
        for key in self.value:
            if key not in names:
                hint = suggestion(key, names) or f". Known: {', '.join(names)}."
                raise InputError(f"not a graph: {self.path}: unknown key {quoted(key, 60)}{hint}")
        for name in names:
            if name not in self.value:
                raise InputError(f"not a graph: {self.path}: the key {name!r} is missing")
        return {name: self[name] for name in names}

    def node(self) -> Node:
        fields = self.fields(Node)
        layout = None if fields["layout"].value is None else fields["layout"].shape()
        if layout is not None and not isinstance(layout, Map):
            fields["layout"].fail("the shape of a map, or null")
        return Node(
            name=fields["name"].text(),
            op=fields["op"].text(),
            inputs=fields["inputs"].texts(),
            input_shapes=tuple(item.shape() for item in fields["input_shapes"].items()),
            shape=fields["shape"].shape(),
            attributes=fields["attributes"].attributes(),
            parameters=tuple(item.parameter() for item in fields["parameters"].items()),
            macs=fields["macs"].count(),
            layout=layout,
        )

    def parameter(self) -> Parameter:
        fields = self.fields(Parameter)
        trainable = fields["trainable"].value
        if not isinstance(trainable, bool):
            fields["trainable"].fail("true or false")
        constant = None if fields["constant"].value is None else fields["constant"].number()
        return Parameter(
            name=fields["name"].text(),
            shape=tuple(item.count(1) for item in fields["shape"].items()),
            constant=constant,
            fan_in=fields["fan_in"].count(),
            fan_out=fields["fan_out"].count(),
            trainable=trainable,
        )

    def shape(self) -> NodeShape:
        for kind in KINDS:
            if isinstance(self.value, dict) and set(self.value) == set(kind._fields):
                return kind(*(self[name].count(1) for name in kind._fields))
        self.fail("a shape, such as {channels: 64, height: 56, width: 56} or {features: 1000}")

    def attributes(self) -> dict[str, Any]:
        """The attributes of a node. Those that many operations have must be of their kind."""
        attributes = self.mapping()
        for name in _KINDS.keys() & attributes.keys():
            fits, expected = _KINDS[name]
            if not fits(attributes[name]):
                self[name].fail(expected)
        return {name: tuples(value) for name, value in attributes.items()}

    def mapping(self) -> dict[str, Any]:
        if not isinstance(self.value, dict) or not all(isinstance(k, str) for k in self.value):
            self.fail("a mapping")
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.fail("a string")
        return self.value

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def number(self) -> float:
        if type(self.value) not in (int, float) or not math.isfinite(self.value):
            self.fail("a number")
        return float(self.value)

    def count(self, least: int = 0) -> int:
        if type(self.value) is not int or self.value < least:
            self.fail(f"an integer of at least {least}")
        return self.value


def tuples(value: Any) -> Any:
    """Convert lists back to tuples, as attributes and options have them, and mappings to shapes."""
    if isinstance(value, list):
        return tuple(map(tuples, value))
    if isinstance(value, dict):
        for kind in KINDS:
            if set(value) == set(kind._fields):
                return kind(**value)
    return value
