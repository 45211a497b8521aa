"""The scope of a layer: the names its expressions may read, and its location for errors."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from zoo.errors import quoted
from zoo.language.document import Location, Mapping, error
from zoo.ops.expressions import Budget, ExpressionError, evaluate, is_expression

WORK_OF_ITEM = 15  # units of the budget: each item of a list is visited several times


@dataclass(frozen=True, slots=True)
class Scope:
    """A place in the network and in the file.

    Attributes:
        document: The spec, which knows its lines.
        model: The model's name.
        path: Path name of the node or block; empty for the whole network.
        location: Location in the document.
        names: The names that expressions may read, and their values.
        blocks: The enclosing blocks, outermost first.
        budget: The remaining work of the whole expansion.
    """

    document: Mapping
    model: str
    path: str
    location: Location
    names: AnyMapping[str, Any]
    blocks: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget, compare=False)

    def inner(self, name: str, key: str, names: AnyMapping[str, Any]) -> Scope:
        """Return the scope of a layer called ``name``, which the document has under ``key``."""
        path = f"{self.path}.{name}" if self.path else name
        location = (*self.location, key)
        return Scope(self.document, self.model, path, location, names, self.blocks, self.budget)

    def moved(
        self, *location: str | int, names: AnyMapping[str, Any] | None = None, block: str = ""
    ) -> Scope:
        """Return a scope at the same path of the network, elsewhere in the document."""
        blocks = (*self.blocks, block) if block else self.blocks
        known = self.names if names is None else names
        return Scope(self.document, self.model, self.path, location, known, blocks, self.budget)

    def compute(self, value: Any, *keys: str | int) -> Any:
        """Evaluate every expression in the value at ``keys`` from here.

        Raises:
            SpecError: An expression is malformed or has no value.
        """
        if isinstance(value, list):
            self.spend(WORK_OF_ITEM * len(value), *keys)
            return [self.compute(item, *keys, i) for i, item in enumerate(value)]
        if not is_expression(value):
            return value
        try:
            result = evaluate(value, self.names, self.budget)
        except ExpressionError as problem:
            self.fail(f"in {quoted(value)}: {problem}", *keys)
        if isinstance(result, list):
            self.spend(WORK_OF_ITEM * len(result), *keys)
        # A quotient without a remainder becomes an integer.
        return int(result) if isinstance(result, float) and result.is_integer() else result

    def spend(self, work: int, *keys: str | int) -> None:
        """Count work against the budget of the expansion.

        Raises:
            SpecError: The budget is spent.
        """
        try:
            self.budget.spend(work)
        except ExpressionError as problem:
            self.fail(str(problem), *keys)

    def fail(self, message: str, *keys: str | int) -> NoReturn:
        """Raise a :class:`SpecError` about the value at ``keys`` from here."""
        location = (*self.location, *keys)
        node = f"in {quoted(self.path)} of {self.model}: " if self.path else ""
        raise error(self.document, location, f"{node}{message}") from None
