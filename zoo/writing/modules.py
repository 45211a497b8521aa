"""Writes the classes of frameworks whose models are modules with attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.writing import snippets
from zoo.writing.constants import Constants
from zoo.writing.dialect import Dialect
from zoo.writing.docstrings import docstring
from zoo.writing.expressions import (
    filled,
    name_of_one,
    reads,
    replaced,
    replaced_value,
    same_constant,
    shown,
)
from zoo.writing.folding import Text
from zoo.writing.layout import (
    INDENT,
    LINE,
    Bracket,
    Choice,
    Expression,
    call,
    collection,
    lines,
    text,
)
from zoo.writing.marks import Marks
from zoo.writing.naming import plural
from zoo.writing.pieces import Chain, Either, Layer, Made, Member, Piece, Table, Used
from zoo.writing.statements import Statements


class ModuleWriter:
    """Writes the classes of one file.

    Args:
        dialect: The framework.
        pieces: What to write; the last one is the network.
        tables: The tables that loops go through, by their names in the file.
    """

    def __init__(
        self, dialect: Dialect, pieces: Sequence[Piece], tables: Mapping[str, Table]
    ) -> None:
        self.dialect, self.pieces = dialect, pieces
        self.constants = Constants(tables, self.value, self.name)
        self.snippets = snippets.of_backend(dialect.backend, dialect.instead)
        self.needed: dict[str, None] = {}
        self.chains = False
        self.marks = Marks()

    #: Names of the groups that the current member is in, each with a dot.
    inside = ""

    def name(self, piece: Piece) -> str:
        """Return what a piece is called in the file."""
        return piece.name

    def classes(self) -> list[str]:
        """Return the text of each class, after that of what the framework lacks."""
        self.constants.add_tables()
        written = [self.piece(piece, piece is self.pieces[-1]) for piece in self.pieces]
        return [*self.lacking(), *written]

    @property
    def reserved(self) -> set[str]:
        """Names that no variable of a function may have: those of functions and of modules."""
        imported = {name for names in self.dialect.imports for name in names.split()}
        return {*self.snippets.definitions, *imported, *map(self.name, self.pieces)}

    def lacking(self) -> list[str]:
        """Return the text of what the framework lacks."""
        order = {n for name in self.needed for n in self.snippets.closure(name)}
        own = [self.dialect.chain] if self.chains else []
        return [*own, *(self.snippets.text(n) for n in self.snippets.definitions if n in order)]

    def piece(self, piece: Piece, is_network: bool) -> str:
        """Return the text of a class."""
        self.flags: dict[str, str] = {}
        self.is_network, self.current = is_network, piece
        self.keys = {member.key for member in piece.members}
        making = self.making(piece)
        statements = Statements(
            self.computed(piece), self.marked, self.condition, self.loop, self.repeats
        )
        statements.reserved = self.reserved
        computing = statements.write()
        parameters = ["self"]
        for name, default in piece.parameters.items():
            parameters.append(name if default is ... else f"{name}={text(self.value(default))}")
        parameters += self.more_parameters()
        space = " " * INDENT
        local = [f"{name} = {value}" for name, value in piece.local.items()]
        merged = [n for n in piece.local if self.flags.get(n) == n and not reads(making, n)]
        kept = [line for line in local if line.partition(" = ")[0] not in merged]
        flags = [
            f"self.{flag} = {piece.local[flag] if flag in merged else value}"
            for flag, value in self.flags.items()
        ]
        base = self.dialect.base
        late = self.constants.late_lines() if is_network else []
        settings = [2 * space + line for line in (*kept, *flags)]
        initializing = [*self.first_lines(), *settings, *making]
        body = [
            *late,
            f"class {piece.name}({base}):",
            *docstring(piece, self.dialect, is_network),
            "",
            *lines("def ", call("__init__", parameters), ":", INDENT),
            *(initializing or [2 * space + "pass"]),
            "",
            f"{space}def {self.dialect.method}(self, x):",
            *computing,
        ]
        return "\n".join(body)

    def mark(self, key: str) -> tuple[str, str]:
        """Return what precedes and follows the text of a layer of the current piece."""
        return self.marks.pair(self.current.place(f"{self.inside}{key}"))

    def more_parameters(self) -> list[str]:
        """Return the parameters that every class has in addition."""
        return []

    def first_lines(self) -> list[str]:
        """Return the first lines of ``__init__``."""
        return [" " * 2 * INDENT + "super().__init__()"]

    # Making members

    def making(self, piece: Piece) -> list[str]:
        """Return the lines that make the members."""
        found: list[str] = []
        heads = {key for key in piece.outputs.values() if key != piece.output}
        for member in piece.members:
            if self.inline(member):
                continue
            start, end = self.mark(member.key)
            if member.loop:
                found += self.loop_making(member)
            elif member.key in heads and member.condition:
                flag = self.flag(member)
                opening = " " * 2 * INDENT + f"if {member.condition}:"
                if opening not in found:
                    found.append(opening)
                layer = self.layer(member.layer)
                found += lines(f"{start}self.{member.key} = ", layer, end, 3 * INDENT)
                assert flag
            else:
                value = self.layer(member.layer, member)
                if member.condition and self.has_identity(member):
                    value = Choice(value, member.condition, self.dialect.identity)
                elif member.condition:
                    value = Choice(value, member.condition, "None")
                found += lines(f"{start}self.{member.key} = ", value, end, 2 * INDENT)
        return found

    def loop_making(self, member: Member) -> list[str]:
        loop, space = member.loop, " " * 2 * INDENT
        assert loop
        found = []
        if loop.channels and (start := text(self.value(loop.start))) != loop.channels:
            found.append(f"{space}{loop.channels} = {start}")
        layer, following = member.layer, loop.following
        opening, items = self.opening(member, loop.variables, 2 * INDENT)
        layer, following = replaced(layer, items), replaced_value(following, items)
        if loop.row:
            if str(loop.rows) not in self.constants.tables:
                found.append(f"{space}self.{self.count(member)} = tuple({loop.rows})")
        else:
            rows = f"len({self.rows(member)})" if loop.variables else text(self.value(loop.count))
            found.append(f"{space}self.{self.count(member)} = {rows}")
        found.append(space + opening)
        made = self.layer(layer, member)
        start, end = self.mark(member.key)
        one = call("setattr", ["self", name_of_one(member), made])
        found += lines(start, one, end, 3 * INDENT)
        if loop.channels and following is not None:
            after = text(self.value(following))
            if after.startswith(f"{loop.channels} + "):
                after = f"+= {after.removeprefix(f'{loop.channels} + ')}"
                found.append(f"{' ' * 3 * INDENT}{loop.channels} {after}")
            elif after != loop.channels:
                found.append(f"{' ' * 3 * INDENT}{loop.channels} = {after}")
        return found

    def opening(
        self, member: Member, names: Sequence[str], indent: int
    ) -> tuple[str, dict[str, Text]]:
        """Return the first line of a loop, and what stands for the items of rows without names."""
        loop = member.loop
        assert loop
        if not (loop.variables or loop.row):
            return f"for i in range({text(self.value(loop.count))}):", {}
        rows = self.rows(member)
        for unpacked in (f"({', '.join(names)})" if len(names) > 1 else "".join(names), "row"):
            each, read = unpacked, rows
            if loop.row:
                each = f"{loop.row}, {unpacked}" if unpacked else loop.row
                read = f"{rows}.items()" if unpacked else rows
            if loop.uses_index or not loop.row:
                each = f"i, ({each})" if loop.row and unpacked else f"i, {each}"
                read = f"enumerate({read})"
            opening = f"for {each} in {read}:"
            if indent + len(opening) <= LINE:
                break
        if unpacked != "row" or len(names) < 2:
            return opening, {}
        return opening, {name: Text(f"row[{n}]") for n, name in enumerate(loop.variables)}

    def rows(self, member: Member) -> str:
        """Return what a loop takes its values from; a constant becomes one of the file."""
        loop = member.loop
        assert loop
        if isinstance(loop.rows, Text):
            return str(loop.rows)
        return self.constants.add_rows(member, loop.rows)

    def count(self, member: Member) -> str:
        """Return the attribute for the number of repetitions, or for their names."""
        named = member.loop and member.loop.row
        return f"names_of_{plural(member.key)}" if named else f"num_{plural(member.key)}"

    def layer(self, layer: Layer, member: Member | None = None) -> Expression:
        """Return the expression that makes a layer."""
        if isinstance(layer, Made):
            return self.made(self.dialect.native(layer))
        if isinstance(layer, Either):
            first, second = self.layer(layer.first), self.layer(layer.second)
            return Choice(first, layer.condition, second)
        if isinstance(layer, Chain):
            outer, self.inside = self.inside, f"{self.inside}{member.key}." if member else ""
            pairs = [self.link(inner) for inner in layer.members]
            self.inside = outer
            if not self.dialect.chain:  # the framework's own takes names
                named = [collection([f'"{name}"', made]) for name, made in pairs]
                return call("nn.Sequential", named)
            self.chains = True
            return call("Sequential", pairs)
        return self.used(layer, member)

    def link(self, member: Member) -> tuple[str, Expression]:
        """Return the name and the expression of a layer among several."""
        place = self.current.place(f"{self.inside}{member.key}")
        start, end = self.marks.pair(place)
        made = self.marks.around(place, self.layer(member.layer, member))
        return f"{start}{member.key}{end}", made

    def used(self, layer: Used, member: Member | None) -> Expression:
        """Return the use of another piece."""
        arguments: list[Any] = []
        skipped = False
        values = list(layer.arguments.items())
        table = self.table(layer, member)
        if table:
            values = [item for item in values if item[0] not in table]
        for name, value in values:
            default = layer.piece.parameters[name]
            if default is not ... and not isinstance(value, Text) and same_constant(value, default):
                skipped = True
                continue
            shown = self.value(value)
            by_name = skipped or default is not ...
            skipped = skipped or by_name
            arguments.append((name, shown) if by_name else shown)
        rows = (
            [Text(f"row[{n}]") for n in range(len(member.loop.variables))]
            if member and member.loop
            else []
        )
        if rows and arguments[-len(rows) :] == rows:
            arguments[-len(rows) :] = ["*row"]
        if table and member:
            name = self.constants.name_of_table(member.table, self.pieces)
            arguments.append(f'*{name}["{member.key}"]')
        arguments += self.more_arguments()
        return call(str(layer.name or layer.piece.name), arguments)

    def more_arguments(self) -> list[Any]:
        """Return the arguments that the use of every class has in addition."""
        return []

    def table(self, layer: Used, member: Member | None) -> list[str]:
        """Return the parameters that come from a table of the spec, which the file has, too."""
        if not (member and member.table and self.is_network) or member.loop:
            return []
        names = [name for name in layer.arguments if name != layer.piece.channels]
        required = all(layer.piece.parameters[name] is ... for name in names)
        varies = any(isinstance(layer.arguments[name], Text) for name in names)
        if len(names) < 3 or not required or varies:
            return []
        constant = self.constants.name_of_table(member.table, self.pieces)
        cells = [layer.arguments[n] for n in names]
        self.constants.add_cells(constant, layer.piece, names, member.key, cells)
        return names

    def made(self, made: Made) -> Expression:
        """Return a call that makes a layer of the framework."""
        target = self.target(made)
        defaults = self.dialect.defaults.get(made.target, {})
        positional = self.dialect.positional.get(made.target, 1)
        arguments: list[Any] = []
        skipped = False
        for number, (name, value) in enumerate(made.arguments.items()):
            constant = not isinstance(value, Text)
            if name in defaults and constant and same_constant(value, defaults[name]):
                skipped = True
                continue
            by_name = skipped or (number >= positional and value != name)
            skipped = skipped or by_name
            arguments.append((name, self.value(value)) if by_name else self.value(value))
        arguments += self.made_arguments(made)
        return call(target, arguments)

    def made_arguments(self, made: Made) -> list[Any]:
        """Return further arguments of a call that makes a layer."""
        return []

    def target(self, made: Made) -> str:
        package, _, name = made.target.rpartition(".")
        if package == f"zoo.{self.dialect.backend}.modules":
            self.needed[name] = None
            return name
        return f"{self.dialect.prefixes[package]}{name}"

    def value(self, value: Any) -> Expression:
        """Return a constant or an expression as Python writes it."""
        return shown(value)

    # Computing

    def inline(self, member: Member) -> str | None:
        """Return the expression of a member that is computed in place, without an attribute."""
        layer = member.layer
        if not isinstance(layer, Made) or member.loop:
            return None
        if member.op in self.dialect.operators:
            return f" {self.dialect.operators[member.op]} ".join(["{}"] * len(member.sources))
        if function := self.function_of(member):
            return text(self.made(function))
        made = self.dialect.native(layer)
        package, _, name = made.target.rpartition(".")
        if package != f"zoo.{self.dialect.backend}.modules":
            return None
        return self.snippets.inlined(name, made.arguments, self.dialect.method)

    def function_of(self, member: Member) -> Made | None:
        """Return the function that is called instead of a layer, with its further arguments."""
        if not isinstance(member.layer, Made) or member.condition or member.loop:
            return None
        made = self.dialect.native(member.layer)
        varies = any(isinstance(value, Text) for value in made.arguments.values())
        if varies or made.target not in self.dialect.functions:
            return None
        target, arguments = self.dialect.functions[made.target]
        return Made(target, {**made.arguments, **arguments})

    def repeats(self, member: Member) -> bool:
        """Tell whether the expression of a member has its input more than once."""
        return len(re.findall(r"\binput\b", self.inline(member) or "")) > 1

    def has_identity(self, member: Member) -> bool:
        """Tell whether a layer that is left out can be replaced by one that changes nothing."""
        return len(member.sources) == 1 and not self.inline(member)

    def flag(self, member: Member) -> str:
        """Return the attribute that tells whether there is a member."""
        condition = str(member.condition)
        name = condition if condition.isidentifier() else f"has_{member.key}"
        if name in self.keys:
            name = f"has_{member.key}"
        self.flags.setdefault(name, condition)
        return name

    def condition(self, member: Member) -> str:
        if member.condition is None:
            return ""
        heads = member.key in self.heads_of_network
        if self.has_identity(member) and not heads:
            return ""
        return f"self.{self.flag(member)}"

    @property
    def heads_of_network(self) -> set[str]:
        network = self.pieces[-1]
        if not self.is_network:
            return set()
        return {key for key in network.outputs.values() if key != network.output}

    def loop(self, member: Member) -> str:
        """Return the first line of the loop that applies a member."""
        if not (member.loop and member.loop.row):
            return f"for i in range(self.{self.count(member)}):"
        rows = str(member.loop.rows)
        names = rows if rows in self.constants.tables else f"self.{self.count(member)}"
        return f"for {member.loop.row} in {names}:"

    def computed(self, piece: Piece) -> Piece:
        """Return a piece with the members that its method applies."""
        return piece

    def path(self, member: Member) -> str:
        """Return the attribute that has a member, with a dot before that of a layer in a group."""
        return member.key

    def marked(self, member: Member, inputs: Sequence[Expression]) -> Expression:
        """Return the expression that applies a member, marked."""
        return self.marks.around(self.current.place(self.path(member)), self.apply(member, inputs))

    def apply(self, member: Member, inputs: Sequence[Expression]) -> Expression:
        """Return the expression that applies a member."""
        if function := self.function_of(member):
            made = self.made(function)
            assert isinstance(made, Bracket)
            return Bracket(made.before, (*(("", value) for value in inputs), *made.items))
        if template := self.inline(member):
            return filled(template, inputs)
        if member.loop:
            return call(f"getattr(self, {name_of_one(member)})", inputs)
        return call(f"self.{self.path(member)}", inputs)
