"""Finds for values that vary between the instances of a block an expression of its parameters.

The values of an argument in all instances of a block are a column. Where they are equal, they are a
constant. Otherwise they are what the spec itself states, if that gives these values; a parameter; a
simple function of one or two; or a new parameter.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.ops.expressions import ExpressionError, evaluate
from zoo.writing.folding import CHANNELS, Text, fold, value_of

#: The value of an argument in an instance that lacks it.
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()

Column = Sequence[Any]

#: What frameworks call the number of channels that a layer reads.
OF_CHANNELS = ("in_channels", "in_features", "num_features")


def equal(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, of which 1 and true are not."""
    if one is ABSENT or other is ABSENT:
        return True
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def same(one: Column, other: Column) -> bool:
    """Tell whether two columns are equal where both have values."""
    return all(map(equal, one, other))


def covers(one: Column, other: Column) -> bool:
    """Tell whether a column has a value wherever another one has."""
    return not any(a is ABSENT and b is not ABSENT for a, b in zip(one, other, strict=True))


def is_constant(column: Column) -> bool:
    """Tell whether a column has one value."""
    return same(column, [representative(column)] * len(column))


def representative(column: Column) -> Any:
    """Return the first value of a column."""
    return next((value for value in column if value is not ABSENT), ABSENT)


def squeezed(value: Any) -> Any:
    """Return one number for a pair of equal ones, and tuples for lists."""
    if isinstance(value, list | tuple):
        items = tuple(map(squeezed, value))
        if len(items) == 2 and type(items[0]) is int and equal(*items):
            return items[0]
        return items
    return value


def frozen(value: Any) -> Any:
    """Return tuples for lists."""
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


class Scope:
    """The names that the expressions of one block may read, and their values in its instances.

    Args:
        names: For each instance, the values of what the spec's own expressions may read.
        parameters: The names of the block's parameters.
        defaults: Their defaults in the spec.
        channels: The channels that each instance reads.
        channels_name: What they are called.
        common: The parameters that stay parameters even if they are constant.
        tabled: Those that stay so if a layer uses them, because a table states them.
    """

    def __init__(
        self,
        names: Sequence[Mapping[str, Any]],
        parameters: Sequence[str],
        defaults: Mapping[str, Any],
        channels: Column = (),
        channels_name: str = "in_channels",
        common: frozenset[str] = frozenset(),
        tabled: frozenset[str] = frozenset(),
    ) -> None:
        self.names, self.defaults, self.common = names, defaults, common
        kept = common | tabled
        self.channels_name = channels_name
        self.channels = representative(channels) if channels else None
        self.columns: dict[str, Column] = {}
        self.constants: dict[str, Any] = {}
        self.local: dict[str, Text] = {}
        self.extra: dict[str, Column] = {}
        self.used: dict[str, None] = {}
        self.aliases: dict[str, Any] = {}
        self.candidates: list[Text] = []  # what layers before return
        self.readable: frozenset[str] | None = None  # for arguments with one value; None for all
        self.returned: dict[str, Text] = {"input": Text(channels_name)}  # channels, by layer
        self.reading = "input"
        for name, value in names[0].items():
            if name not in (*parameters, "input", "index", "item"):
                column = [frozen(row.get(name)) for row in names]
                if is_constant(column):
                    self.constants[name] = value
                elif name in ("num_classes", "aux"):
                    self.columns[name] = column
        if channels and not (is_constant(channels) and channels_name not in kept):
            self.columns[channels_name] = channels
        for name in parameters:
            column = [frozen(row[name]) for row in names]
            if is_constant(column) and name not in kept:
                self.constants[name] = names[0][name]
            else:
                self._add(name, column)
        self.initial = dict(self.columns)

    def _add(self, name: str, column: Column) -> None:
        """Add a parameter; one that always has its default is derived from the others."""
        default = self.defaults.get(name)
        if isinstance(default, str) and "$" in default and self._gives(default, column):
            folded = fold(default, self.resolve, self.constants)
            twin = next((n for n, c in self.columns.items() if same(c, column)), None)
            if twin is not None:
                self.aliases[name] = Text(twin)
                return
            if isinstance(folded, Text) and self.holds(folded, column):
                if folded.isidentifier():
                    self.aliases[name] = folded
                else:
                    self.local[name] = folded
                    self.columns[name] = column
                return
        self.columns[name] = column

    def holds(self, text: Text, column: Column) -> bool:
        """Tell whether Python's text of an expression has the values of a column."""
        return all(
            value is ABSENT or equal(squeezed(self._value(text, row)), squeezed(value))
            for row, value in enumerate(column)
        )

    def _value(self, text: Text, row: int) -> Any:
        columns = {**self.columns, **self.extra}
        return value_of(text, {n: columns[n][row] for n in names_in(text) if n in columns})

    def _gives(self, expression: str, column: Column) -> bool:
        return all(
            value is ABSENT or equal(_evaluated(expression, names), value)
            for names, value in zip(self.names, column, strict=True)
        )

    def resolve(self, name: str) -> Any:
        """Return what stands for a name in an expression; None if nothing does."""
        if name in self.aliases:
            return self.aliases[name]
        if name == CHANNELS:
            name = self.channels_name
            if name not in self.columns:
                return self.channels
        return Text(name) if name in self.columns else None

    def express(self, column: Column, stated: Any = None, name: str = "", key: str = "") -> Any:
        """Return a constant or a ``Text`` that has the values of a column.

        Args:
            column: The value in each instance, or ``ABSENT``.
            stated: What the spec states for it, if that is known.
            name: The name of a new parameter, if nothing else has these values.
            key: The layer that it is for, which precedes the name if that is taken.
        """
        if is_constant(column):
            common = self._is_common(stated, name)
            found = self.find(column, stated) if common else self.generalized(column, stated, name)
            return representative(column) if found is None else self.use(found)
        found = self.find(column, stated)
        if found is None and (items := self._items(column)):
            return items
        if found is None:
            found = self.new(name, column, key)
        return self.use(found)

    def express_pairs(self, column: Column, stated: Any, name: str, key: str) -> Any:
        """Express the values of an argument that takes no number for a pair of equal ones."""
        numbers = [squeezed(value) for value in column]
        integers = all(type(number) is int or number is ABSENT for number in numbers)
        if not integers or same(numbers, column):
            return self.express(column, stated, name, key)
        if is_constant(column):
            found = self.express(numbers, stated, name, key)
            if not isinstance(found, Text):
                return representative(column)
        else:
            found = self.use(self.find(numbers, stated))
            if found is None:
                return self.express(column, None, name, key)
        present = (row for row, value in enumerate(column) if value is not ABSENT)
        if any(isinstance(self._value(found, row), tuple) for row in present):
            return found  # it is a pair already
        return Text(f"({found}, {found})")

    def _is_common(self, stated: Any, name: str) -> bool:
        """Whether an argument, even if it is constant, is to be a parameter of the block."""
        reads = self.channels_name in self.common
        if stated is None:
            return reads and name in OF_CHANNELS
        names = set(re.findall(r"\$(\w+)", stated)) if isinstance(stated, str) else set()
        return bool(names & self.common) or (reads and "input" in names)

    def _items(self, column: Column) -> tuple[Any, ...] | None:
        """Return the items of a column of tuples, each expressed by itself."""
        present = [value for value in column if value is not ABSENT]
        if not all(isinstance(value, tuple) for value in present):
            return None
        if len({len(value) for value in present}) != 1:
            return None
        found = []
        for index in range(len(present[0])):
            part = [value if value is ABSENT else value[index] for value in column]
            found.append(representative(part) if is_constant(part) else self.find(part))
        if any(item is None for item in found):
            return None
        return tuple(map(self.use, found))

    def use(self, found: Any) -> Any:
        """Note which names an expression reads."""
        if isinstance(found, Text):
            self._use(found)
        return found

    def _use(self, found: Text) -> None:
        for name in names_in(found):
            if name in self.local and name not in self.used:
                self._use(self.local[name])
            if name in self.columns or name in self.extra:
                self.used[name] = None

    def find(self, column: Column, stated: Any = None) -> Any:
        """Return an expression for a column; None if there is none."""
        found = self._stated(column, stated)
        if found is not None:
            return found
        available = {**self.columns, **self.extra}
        for name, values in available.items():
            if same(values, column) or same([squeezed(value) for value in values], column):
                if covers(values, column):
                    return Text(name)
                if name in self.extra:  # made for instances of which this layer has others
                    pairs = zip(values, column, strict=True)
                    self.extra[name] = [b if a is ABSENT else a for a, b in pairs]
                    return Text(name)
        for candidate in reversed(self.candidates):
            if self.holds(candidate, column):
                return candidate
        for name, values in available.items():
            for index in range(_length(values)):
                if covers(values, column) and same([_item(v, index) for v in values], column):
                    return Text(f"{name}[{index}]")
        if all(type(value) is bool or value is ABSENT for value in column):
            return self._condition(column, available)
        if all(type(value) is int or value is ABSENT for value in column):
            return _arithmetic(column, available)
        return None

    def _stated(self, column: Column, stated: Any) -> Text | None:
        """Return what the spec states, if that reads parameters and gives the values."""
        if isinstance(stated, str) and "$" in stated and self._gives_squeezed(stated, column):
            folded = fold(stated, self.resolve, self.constants)
            if isinstance(folded, Text) and self.holds(folded, column):
                return folded
        return None

    def generalized(self, column: Column, stated: Any, name: str) -> Text | None:
        """Return what stands for one value: it may be the only one just where a layer exists."""
        found = self._stated(column, stated)
        if found is None and name in OF_CHANNELS:
            reads = self.returned.get(self.reading, Text("None"))
            known = set(names_in(reads)) <= {*self.columns, *self.extra}
            found = reads if known and self.holds(reads, column) else None
        if found is not None and self.readable is not None:
            return found if self.readable.issuperset(names_in(found)) else None
        return found

    def _gives_squeezed(self, expression: str, column: Column) -> bool:
        return all(
            value is ABSENT or equal(squeezed(_evaluated(expression, names)), squeezed(value))
            for names, value in zip(self.names, column, strict=True)
        )

    def _condition(self, column: Column, available: Mapping[str, Column]) -> Any:
        for name, values in available.items():
            is_boolean = all(type(value) is bool or value is ABSENT for value in values)
            if is_boolean and same([v if v is ABSENT else not v for v in values], column):
                return Text(f"not {name}")
        for name, values in available.items():
            kinds = {type(v) for v in values if v is not ABSENT}
            if kinds == {int} or kinds == {str}:
                for value in dict.fromkeys(v for v in values if v is not ABSENT):
                    shown = f'"{value}"' if isinstance(value, str) else value
                    if same([v == value for v in values], column):
                        return Text(f"{name} == {shown}")
                    if same([v != value for v in values], column):
                        return Text(f"{name} != {shown}")
        return None

    def new(self, name: str, column: Column, key: str = "") -> Text:
        """Add a parameter that the spec does not have."""
        if name in self.constants or name in self.aliases or name in self.local:
            self.constants.pop(name, None)
        if name in self.columns and name in self.defaults and name not in self.used:
            self.columns.pop(name)  # what the spec calls so is not used
            self.initial.pop(name, None)
        unique, number = name, 2
        while unique in self.columns or unique in self.extra:
            unique, number = (
                f"{key}_{name}" if key and number == 2 else f"{name}{number}",
                number + 1,
            )
        self.extra[unique] = column
        return Text(unique)


def names_in(found: str) -> list[str]:
    """Return the names that an expression reads."""
    import ast

    tree = ast.parse(found, mode="eval")
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _evaluated(expression: str, names: Mapping[str, Any]) -> Any:
    try:
        value = evaluate(expression, names)
    except ExpressionError:
        return object()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return frozen(value)


def _length(values: Column) -> int:
    lengths = {len(v) if isinstance(v, tuple) else 0 for v in values if v is not ABSENT}
    return min(lengths, default=0)


def _item(value: Any, index: int) -> Any:
    return value if value is ABSENT else squeezed(value[index])


def _arithmetic(column: Column, available: Mapping[str, Column]) -> Any:
    numbers = {
        name: values
        for name, values in available.items()
        if all(type(value) is int or value is ABSENT for value in values)
    }
    rows = [i for i, value in enumerate(column) if value is not ABSENT]
    wanted = [column[i] for i in rows]
    known = {}
    for name, values in numbers.items():
        picked = [values[i] for i in rows]
        if ABSENT not in picked and len(set(picked)) > 1:
            known[name] = picked
    for name, values in known.items():
        for text, function in _multiples(name, values, wanted):
            if [function(value) for value in values] == wanted:
                return Text(text)
    for (a, first), (b, second) in itertools.combinations(known.items(), 2):
        if [x + y for x, y in zip(first, second, strict=True)] == wanted:
            return Text(f"{a} + {b}")
        if [x - y for x, y in zip(first, second, strict=True)] == wanted:
            return Text(f"{a} - {b}")
    if len(set(wanted)) > 2:
        for name, values in known.items():
            difference = {x - y for x, y in zip(wanted, values, strict=True)}
            if len(difference) == 1:
                (step,) = difference
                return Text(f"{name} {'+' if step > 0 else '-'} {abs(step)}")
    return None


def _multiples(name: str, values: list[int], wanted: list[int]) -> Any:
    first, target = values[0], wanted[0]
    if first and target and target % first == 0:
        factor = target // first
        yield f"{factor} * {name}", lambda value: factor * value
    if first and target and first % target == 0:
        divisor = first // target
        yield f"{name} // {divisor}", lambda value: value // divisor
    for divisor in (2, 4):
        yield f"{name} // {divisor}", lambda value, d=divisor: value // d
