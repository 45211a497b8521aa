"""Writes what a piece computes as statements that read and assign a few variables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from zoo.writing.layout import INDENT, LINE, Bracket, Expression, lines, text, width
from zoo.writing.pieces import Member, Piece

#: The longest expression that is nested in another one, and the deepest.
NESTED, DEPTH = 60, 3

#: Returns the expression that applies a member to expressions.
Apply = Callable[[Member, Sequence[Expression]], Expression]


class Statements:
    """The statements of one piece.

    Args:
        piece: The piece.
        apply: Applies a member.
        condition: Returns the text of a member's condition, or an empty string if the member is
            applied in any case.
        loop: Returns the first line of a member's loop.
        repeats: Tells whether a member has its input more than once.
        nests: Whether calls are nested.
        indent: Number of spaces before each statement.
    """

    def __init__(
        self,
        piece: Piece,
        apply: Apply,
        condition: Callable[[Member], str],
        loop: Callable[[Member], str],
        repeats: Callable[[Member], bool] = lambda member: False,
        nests: bool = True,
        indent: int = 2 * INDENT,
    ) -> None:
        self.piece, self.apply, self.condition, self.loop = piece, apply, condition, loop
        self.repeats, self.nests, self.indent = repeats, nests, indent
        self.lines: list[str] = []
        self.reserved: set[str] = set()  # names of functions
        heads = {key for key in piece.outputs.values() if key != piece.output}
        self.heads = [m for m in piece.members if m.key in heads]
        self.members = [m for m in piece.members if m.key not in heads]
        self.readers: dict[str, list[int]] = {"input": []}
        for number, member in enumerate(self.members):
            self.readers[member.key] = []
            for source in member.sources:
                self.readers[source].append(number)
        end = len(self.members)
        self.readers[piece.output].append(end)
        for head in self.heads:
            for source in head.sources:
                self.readers[source].append(end + 1)
        self.values: dict[str, Expression] = {"input": "x"}
        self.variables: dict[str, set[str]] = {"input": {"x"}}  # that a value reads

    def write(self) -> list[str]:
        """Return the lines, of which the last returns the value of the piece."""
        for number, member in enumerate(self.members):
            self._member(number, member)
        output = self.values[self.piece.output]
        if self.heads:
            self._outputs(output)
        else:
            self._add("return ", output)
        return self.lines

    def _add(self, prefix: str, value: Expression, extra: int = 0, suffix: str = "") -> None:
        self.lines += lines(prefix, value, suffix, self.indent + extra)

    def _line(self, line: str, extra: int = 0) -> None:
        self.lines.append(" " * (self.indent + extra) + line)

    def _member(self, number: int, member: Member) -> None:
        key = member.key
        reads = set().union(*(self.variables[source] for source in member.sources))
        if member.loop:
            self._loop(number, member)
            return
        if condition := self.condition(member):
            self._conditional(number, member, condition)
            return
        if self.repeats(member) and not _is_variable(self.values[member.sources[0]]):
            self._assign(member.sources[0], number - 1, self.values[member.sources[0]])
            reads = self.variables[member.sources[0]]
        value = self.apply(member, [self.values[source] for source in member.sources])
        if not self._fits(value) and (isinstance(value, Bracket) or len(member.sources) > 1):
            self._name(number, member)  # rather than a call over many lines
            value = self.apply(member, [self.values[source] for source in member.sources])
            reads = set().union(*(self.variables[source] for source in member.sources))
        if self._is_nested(member, number, value):
            self.values[key], self.variables[key] = value, reads
            return
        self._name_earlier(key)
        self._assign(key, number, value)

    def _fits(self, value: Expression) -> bool:
        return width(text(value)) + self.indent + len("return ") <= LINE

    def _name(self, number: int, member: Member) -> None:
        """Assign the inputs of a member to variables."""
        for source in dict.fromkeys(member.sources):
            if _is_variable(self.values[source]):
                continue
            if len(member.sources) == 1:
                self._assign(source, number - 1, self.values[source])
            else:
                self._add(f"{source} = ", self.values[source])
                self.values[source], self.variables[source] = source, {source}

    def _name_earlier(self, key: str) -> None:
        """Assign the earlier ones of several branches to variables, so that they stay in order."""
        for reader in self.readers[key]:
            if reader < len(self.members) and len(self.members[reader].sources) > 2:
                sources = self.members[reader].sources
                for source in dict.fromkeys(sources[: sources.index(key)]):
                    if source in self.values and not _is_variable(self.values[source]):
                        self._add(f"{source} = ", self.values[source])
                        self.values[source], self.variables[source] = source, {source}

    def _is_nested(self, member: Member, number: int, value: Expression) -> bool:
        readers = self.readers[member.key]
        if len(readers) != 1:
            return False
        if readers[0] == len(self.members):
            return True  # returned
        if not self.nests or readers[0] > len(self.members):
            return False
        reader = self.members[readers[0]]
        if reader.loop or self.condition(reader):
            return False
        # What is nested must not read a variable that is assigned before it is computed.
        between = self.members[number + 1 : readers[0]]
        if any(not self._may_nest(other) for other in between):
            return False
        return width(text(value)) <= NESTED and depth(value) < DEPTH

    def _may_nest(self, member: Member) -> bool:
        return len(self.readers[member.key]) == 1 and not member.loop

    def _target(self, key: str, number: int, kept: Collection[str] = ()) -> str:
        """Return a variable for a value: one whose own value is read no more, if possible."""
        live = self._live(key, number, kept)
        is_network = bool(self.piece.outputs)
        taken = live | self.reserved
        if len(self.readers[key]) > 1 and is_network and key not in self.reserved:
            return key
        later = [reader for reader in self.readers[key] if number < reader < len(self.members)]
        if any(len(self.members[reader].sources) > 2 for reader in later) and key not in taken:
            return key  # one of several branches
        return next(name for name in ("x", "y", key, f"{key}_", "z") if name not in taken)

    def _live(self, key: str, number: int, kept: Collection[str]) -> set[str]:
        """Return the variables that are read after a member, and some others."""
        live: set[str] = set(kept)
        for other, variables in self.variables.items():
            if other != key and any(reader > number for reader in self._readers(other)):
                live |= variables
        return live

    def _readers(self, key: str) -> list[int]:
        """Return the numbers of the members that compute with a value, nested ones included."""
        found = []
        for reader in self.readers[key]:
            found.append(reader)
            if reader < len(self.members):
                name = self.members[reader].key
                if name in self.values and not _is_variable(self.values[name]):
                    found += self._readers(name)
        return found

    def _assign(self, key: str, number: int, value: Expression, kept: Collection[str] = ()) -> str:
        target = self._target(key, number, kept)
        if value in ("x", "y") and value not in self._live(key, number, kept):
            target = str(value)
        if value != target:
            self._add(f"{target} = ", value)
        self.values[key], self.variables[key] = target, {target}
        return target

    def _conditional(self, number: int, member: Member, condition: str) -> None:
        first, *rest = (self.values[source] for source in member.sources)
        kept = set().union(*(self.variables[source] for source in member.sources[1:]))
        target = self._assign(member.key, number, first, kept)
        value = self.apply(member, [target, *rest])
        opening = f"if {condition}:"
        previous = [line for line in self.lines if not line.startswith(" " * (self.indent + 4))]
        if not (previous and previous[-1].strip() == opening):
            self._line(opening)
        self._add(f"{target} = ", value, INDENT)

    def _loop(self, number: int, member: Member) -> None:
        target = self._assign(member.key, number, self.values[member.sources[0]])
        self._line(self.loop(member))
        self._add(f"{target} = ", self.apply(member, [target]), INDENT)

    def _outputs(self, output: Expression) -> None:
        named = {}
        first = next(name for name, key in self.piece.outputs.items() if key == self.piece.output)
        if output != first:
            self._add(f"{first} = ", output)
        named[first] = first
        if flag := self.condition(self.heads[0]):
            self._line(f"if not {flag}:")
            self._line(f"return {first}", INDENT)
        for head in self.heads:
            name = next(n for n, key in self.piece.outputs.items() if key == head.key)
            value = self.apply(head, [self.values[source] for source in head.sources])
            self._add(f"{name} = ", value)
            named[name] = name
        items = tuple((f'"{name}": ', value) for name, value in named.items())
        self._add("return ", Bracket("", items, "{}"))


def depth(value: Expression) -> int:
    """Return how deeply calls are nested in an expression."""
    if isinstance(value, Bracket):
        inner = max((depth(item) for _, item in value.items), default=0)
        return inner + (1 if value.is_call else 0)
    return 0


def _is_variable(value: Expression) -> bool:
    return isinstance(value, str) and value.isidentifier()
