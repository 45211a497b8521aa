"""Unifies the calls that make one layer in all instances of a block."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.errors import BackendError
from zoo.writing.collection import Definition
from zoo.writing.folding import Text
from zoo.writing.naming import snake_case
from zoo.writing.pieces import Either, Layer, Made
from zoo.writing.scope import ABSENT, Column, Scope, equal, frozen, names_in, squeezed


class Calls:
    """How a framework makes layers.

    Args:
        fields: Argument of a framework's layer -> field of the operation, where they differ.
        pairs: Whether the framework's layers take pairs only, rather than one number.
    """

    def __init__(self, fields: Mapping[str, str], pairs: bool) -> None:
        self.fields, self.pairs = fields, pairs

    def unified(
        self, calls: Column, layer: Definition, scope: Scope, key: str = ""
    ) -> Made | Either:
        """Unify the calls that make one layer."""
        targets = list(dict.fromkeys(c.target for c in calls if c is not ABSENT))
        if len(targets) == 2:
            choice = [c if c is ABSENT else c.target == targets[0] for c in calls]
            condition = scope.express(choice, None, f"is_{snake_case(targets[0])}")
            parts = [
                [c if c is not ABSENT and c.target == t else ABSENT for c in calls] for t in targets
            ]
            scope.readable = frozenset()
            made = [self.unified(part, layer, scope, key) for part in parts]
            scope.readable = frozenset(scope.used) - {*names_in(condition)}
            branches = [
                self.generalized(m, part, layer, scope) for m, part in zip(made, parts, strict=True)
            ]
            scope.readable = None
            return Either(condition, *branches)
        if len(targets) > 2:
            raise BackendError(f"one layer is of {len(targets)} kinds: {', '.join(targets)}")
        arguments = {}
        names = dict.fromkeys(n for c in calls if c is not ABSENT for n in c.arguments)
        for name in names:
            field = self.fields.get(name, name)
            values = [c if c is ABSENT else frozen(c.arguments[name]) for c in calls]
            if self.takes_pairs(targets[0], name):
                arguments[name] = scope.express_pairs(values, layer.get(field), name, key)
            else:
                column = [squeezed(value) for value in values]
                arguments[name] = scope.express(column, layer.get(field), name, key)
        return Made(targets[0], arguments)

    def generalized(self, made: Layer, calls: Column, layer: Definition, scope: Scope) -> Layer:
        """Return one of two layers with parameters that the block has instead of constants."""
        assert isinstance(made, Made)
        arguments = dict(made.arguments)
        for name, value in made.arguments.items():
            if isinstance(value, Text):
                continue
            column = [c if c is ABSENT else frozen(c.arguments[name]) for c in calls]
            found = scope.generalized(column, layer.get(self.fields.get(name, name)), name)
            if found is not None and isinstance(value, tuple):
                found = Text(f"({found}, {found})") if equal(squeezed(value), value[0]) else None
            arguments[name] = value if found is None else scope.use(found)
        return Made(made.target, arguments)

    def takes_pairs(self, target: str, argument: str) -> bool:
        """Tell whether one number may not stand for a pair, as where zoo's own layers unpack it."""
        return self.pairs or (target.startswith("zoo.") and argument in ("padding", "channels"))
