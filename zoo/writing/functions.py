"""Writes the functions of Keras' functional API: one for each block, which apply named layers."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from keyword import iskeyword
from typing import Any

from zoo.writing.dialect import Dialect
from zoo.writing.docstrings import docstring
from zoo.writing.expressions import reads, replaced, replaced_value, shown
from zoo.writing.folding import Text
from zoo.writing.layout import (
    INDENT,
    LINE,
    Bracket,
    Expression,
    call,
    collection,
    lines,
    text,
    width,
)
from zoo.writing.modules import ModuleWriter
from zoo.writing.pieces import Chain, Either, Layer, Made, Member, Piece, Table, Used, leaves
from zoo.writing.scope import names_in
from zoo.writing.statements import Statements

_FUNCTIONS = "zoo.keras.modules"
#: Keras' names of what Python's operators do to a tensor.
_OPERATORS = ("add", "get_item", "multiply", "negative", "power", "subtract", "true_divide")


class FunctionWriter(ModuleWriter):
    """Writes the functions of one file."""

    #: As ``inside``, in which the repetitions of a group have their names.
    within = ""

    def __init__(
        self, dialect: Dialect, pieces: Sequence[Piece], tables: Mapping[str, Table]
    ) -> None:
        super().__init__(dialect, pieces, tables)
        self.signatures: dict[str, set[str]] = {}
        self.alone: Piece | None = None

    def name(self, piece: Piece) -> str:
        """Return what a piece is called in the file."""
        return f"{piece.kind}_" if iskeyword(piece.kind) else piece.kind

    def piece(self, piece: Piece, is_network: bool) -> str:
        """Return the text of a function."""
        self.is_network, self.current = is_network, piece
        statements = _FunctionStatements(self, piece)
        if is_network:
            statements.values["input"] = "x"
        body = statements.write()
        parameters = [] if is_network else ["x"]
        names = piece.parameters
        code = [*body, *(f"{value}" for value in piece.local.values())]
        for name, default in names.items():
            if name == piece.channels:
                continue
            if not reads(code, name) and name not in self.of_others(piece):
                continue
            parameters.append(name if default is ... else f"{name}={text(self.value(default))}")
        if not is_network:
            parameters += ["*", "name"]
        space = " " * INDENT
        first = [f"{space}{name} = {value}" for name, value in piece.local.items()]
        first = [line for line in first if reads(body, line.split()[0])]
        if piece.channels and reads([*first, *body], piece.channels):
            first.insert(0, f"{space}{piece.channels} = x.shape[-1]")
        if is_network:
            first.insert(0, f"{space}inputs = x = keras.Input({self.shape})")
        return "\n".join(
            [
                *(self.constants.late_lines() if is_network else ()),
                *lines("def ", call(self.name(piece), parameters), ":"),
                *docstring(piece, self.dialect, is_network),
                *first,
                *body,
            ]
        )

    @property
    def shape(self) -> str:
        """The shape of the network's input."""
        piece = self.pieces[-1]
        height, width, channels = piece.input_shape
        return f"({height}, {width}, {channels})"

    def path(self, member: Member) -> str:
        """Return the expression for the name of a layer."""
        prefix = "" if self.is_network else "{name}."
        name = f"{prefix}{self.within}{self.numbered(member)}"
        if name[0] == "{" and name[1:-1].isidentifier():  # a variable alone
            return name[1:-1]
        return f'f"{name}"' if "{" in name else f'"{name}"'

    def numbered(self, member: Member) -> str:
        """Return the name of a member, as part of an f-string if there are several."""
        if not member.loop:
            return member.key
        return f"{{{member.loop.row}}}" if member.loop.row else f"{member.key}{{i + 1}}"

    def value(self, value: Any) -> Expression:
        names = {piece.name: Text(self.name(piece)) for piece in self.pieces[:-1]}
        return shown(replaced_value(value, names))

    def condition(self, member: Member) -> str:
        return str(member.condition) if member.condition else ""

    def loop(self, member: Member) -> str:
        return self.opened(member)[0]

    def opened(self, member: Member) -> tuple[str, dict[str, Text]]:
        """Return the first line of a loop, and what stands for the items of rows without names."""
        loop = member.loop
        assert loop
        read = self.read(member.layer)
        names = [name if name in read else f"_{name}" for name in loop.variables]
        return self.opening(member, names, INDENT)

    def read(self, layer: Layer) -> set[str]:
        """Return the names that the arguments of a layer read."""
        if isinstance(layer, Chain):
            return set().union(*(self.read(member.layer) for member in layer.members))
        if isinstance(layer, Either):
            names = set(names_in(layer.condition))
            return names | self.read(layer.first) | self.read(layer.second)
        kept = self.kept(layer.piece) if isinstance(layer, Used) else set(layer.arguments)
        values = [value for name, value in layer.arguments.items() if name in kept]
        if isinstance(layer, Used) and layer.name:
            values.append(layer.name)
        return {n for value in values if isinstance(value, Text) for n in names_in(value)}

    def looped(self, member: Member) -> Layer:
        """Return the layer of a loop, whose long rows have no names for their items."""
        return replaced(member.layer, self.opened(member)[1]) if member.loop else member.layer

    def target(self, made: Made) -> str:
        package, _, name = made.target.rpartition(".")
        if package == _FUNCTIONS:
            self.needed[name] = None
            return name
        return super().target(made)

    def lacking(self) -> list[str]:
        order = {n for name in self.needed for n in self.snippets.closure(name)}
        return [self.snippets.text(n) for n in self.snippets.definitions if n in order]

    @functools.cached_property
    def clashes(self) -> bool:
        """Whether Keras may name an operation within a function like a layer, which it refuses.

        The names of layers in blocks have a dot, unlike those that Keras makes.
        """
        layers = (made for p in self.pieces for m in p.members for made in leaves(m.layer))
        functions = (made for made in layers if isinstance(made, Made) and _is_function(made))
        used = {made.target.rpartition(".")[2] for made in functions}
        needed = {name for function in used for name in self.snippets.closure(function)}
        code = "\n".join(map(self.snippets.text, needed))
        named = {*_OPERATORS, *re.findall(r"\bops\.(\w+)", code)} if needed else set()
        return any(re.sub(r"(_\d+)?$", "", m.key) in named for m in self.pieces[-1].members)

    def applied(self, layer: Made | Used, path: str, inputs: Sequence[Expression]) -> Expression:
        """Return a layer applied to its inputs."""
        if isinstance(layer, Used):
            use = self.used(layer, self.member)
            assert isinstance(use, Bracket)
            arguments = [(n.rstrip("="), v) if n else v for n, v in use.items]
            return call(self.function(layer), [*inputs, *arguments, ("name", path)])
        made = Made(layer.target, {k: v for k, v in layer.arguments.items() if k != "edges"})
        if _is_function(made):
            settings = [(k, self.value(v)) for k, v in layer.arguments.items()]
            if self.clashes:  # operations within a layer have no names
                given = Bracket("", tuple((f'"{k}": ', v) for k, v in settings), "{}")
                arguments = [("arguments", given)] if settings else []
                function = call("layers.Lambda", [self.target(made), *arguments, ("name", path)])
                return call(function, inputs)
            return call(self.target(made), [*inputs, *settings])
        expression = self.made(made)
        assert isinstance(expression, Bracket)
        items = list(expression.items)
        if made.target.endswith("EinsumDense"):
            start = text(self.value(made.arguments["kernel_initializer"]))
            items = [item for item in items if item[0] != "kernel_initializer="]
            items[1] = ("", f"({text(items[1][1])},)")
            items.append(("kernel_initializer=", f"keras.initializers.Constant({start})"))
        named = Bracket(expression.before, (*items, ("name=", path)))
        joined = made.target.rpartition(".")[2] in ("Add", "Multiply", "Concatenate")
        return call(named, [collection(inputs, "[]")] if joined else inputs)

    def function(self, layer: Used) -> str:
        """Return the name of the function of a block."""
        return str(layer.name) if layer.name else self.name(layer.piece)

    def used(self, layer: Used, member: Member | None) -> Any:
        piece = layer.piece
        kept = {n: v for n, v in layer.arguments.items() if n in self.kept(piece)}
        return super().used(Used(piece, kept, layer.name), member)

    def kept(self, piece: Piece) -> set[str]:
        """Return the parameters that the function of a block has."""
        return self.own(piece) | self.of_others(piece)

    def of_others(self, piece: Piece) -> set[str]:
        """Return the parameters of the functions that a layer may call instead."""
        if piece is self.alone:
            return set()
        return {name for other in piece.others for name in self.own(other)}

    def own(self, piece: Piece) -> set[str]:
        """Return the parameters that the function of a block reads."""
        if piece.kind not in self.signatures:
            writer = _quiet(self, piece)
            found = writer.piece(piece, False)
            head = found[found.index("def ") : found.index('"""')]
            self.signatures[piece.kind] = {n for n in piece.parameters if reads([head], n)}
        return self.signatures[piece.kind]

    member: Member | None = None


def _is_function(made: Made) -> bool:
    return made.target.startswith(_FUNCTIONS)


def _quiet(writer: FunctionWriter, piece: Piece) -> FunctionWriter:
    """Return a writer of one function, whose notes are not kept."""
    other = FunctionWriter(writer.dialect, writer.pieces, writer.constants.tables)
    other.signatures, other.alone = writer.signatures, piece
    return other


class _FunctionStatements(Statements):
    """Statements that apply layers at once, as the functional API does."""

    def __init__(self, writer: FunctionWriter, piece: Piece) -> None:
        super().__init__(
            piece, lambda m, i: "", writer.condition, writer.loop, nests=False, indent=INDENT
        )
        self.writer = writer
        self.reserved = writer.reserved | {"name", "inputs"}

    def _member(self, number: int, member: Member) -> None:
        condition = self.condition(member)
        inputs = [self.values[source] for source in member.sources]
        if member.loop:
            target = self._assign(member.key, number, inputs[0])
            self._line(self.writer.loop(member))
            channels = member.loop.channels
            if channels and channels in self.writer.read(self.writer.looped(member)):
                self._line(f"{channels} = {target}.shape[-1]", INDENT)
            self._statements(member, self.writer.looped(member), [target], target, INDENT)
            return
        if condition:
            kept = set().union(*(self.variables[source] for source in member.sources[1:]))
            target = self._assign(member.key, number, inputs[0], kept)
            opening = f"if {condition}:"
            shallow = [n for n in self.lines if not n.startswith(" " * (self.indent + INDENT))]
            if not (shallow and shallow[-1].strip() == opening):
                self._line(opening)
            self._statements(member, member.layer, [target, *inputs[1:]], target, INDENT)
            return
        target = self._target(member.key, number)
        self._statements(member, member.layer, inputs, target, 0)
        self.values[member.key], self.variables[member.key] = target, {target}

    def _target(self, key: str, number: int, kept: Collection[str] = ()) -> str:
        taken = self._live(key, number, kept) | self.reserved | self._read_later(number)
        if self._is_branch(key) and key not in taken:
            return key
        return super()._target(key, number, kept)

    def _read_later(self, number: int) -> set[str]:
        """Return the names of parameters that later members read."""
        names: set[str] = set()
        for member in (*self.members[number + 1 :], *self.heads):
            names |= self.writer.read(member.layer)
            names |= set(names_in(self.condition(member) or "None"))
            if member.loop:
                values = (member.loop.rows, member.loop.count)
                names |= {n for v in values if isinstance(v, Text) for n in names_in(v)}
        return names

    def _is_branch(self, key: str) -> bool:
        """Tell whether several layers read a value, or one together with another value."""
        readers = [r for r in self.readers[key] if r < len(self.members)]
        if len(set(readers)) > 1:
            return True
        always = {member.key for member in self.members if not self.condition(member)}
        together = [always & set(self.members[reader].sources) for reader in readers]
        return any(len(keys) > 1 and key in keys for keys in together)

    def _statements(
        self,
        member: Member,
        layer: Layer,
        inputs: Sequence[Expression],
        target: str,
        extra: int,
    ) -> None:
        """Write the statements that apply one layer."""
        writer = self.writer
        if isinstance(layer, Chain):
            outer = writer.inside, writer.within
            writer.inside += f"{member.key}."
            writer.within += f"{writer.numbered(member)}."
            for inner in layer.members:
                self._statements(inner, inner.layer, inputs, target, extra)
                inputs = [target]
            writer.inside, writer.within = outer
            return
        if isinstance(layer, Either):
            self._line(f"if {layer.condition}:", extra)
            self._statements(member, layer.first, inputs, target, extra + INDENT)
            self._line("else:", extra)
            self._statements(member, layer.second, inputs, target, extra + INDENT)
            return
        path = writer.path(member)
        start, end = writer.mark(member.key)
        edges = layer.arguments.get("edges", 0) if isinstance(layer, Made) else 0
        if edges != 0 and isinstance(layer, Made) and not layer.target.startswith(_FUNCTIONS):
            pad_path = path.removesuffix('"') + '.pad"'
            padding = call("layers.ZeroPadding2D", [writer.value(edges), ("name", pad_path)])
            if isinstance(edges, Text):
                if inputs[0] != target:
                    self._line(f"{target} = {text(inputs[0])}", extra)
                self._line(f"if {edges}:", extra)
                self._add(f"{target} = {start}", call(padding, [target]), extra + INDENT, end)
            else:
                self._add(f"{target} = {start}", call(padding, inputs), extra, end)
            inputs = [target]
        writer.member = member
        self._add(f"{target} = {start}", writer.applied(layer, path, inputs), extra, end)

    def write(self) -> list[str]:
        for number, member in enumerate(self.members):
            self._member(number, member)
        output = self.values[self.piece.output]
        if not self.writer.is_network:
            self._returned(output)
            return self.lines
        name = f'name="{self.piece.kind}"'
        if not self.heads:
            self._line(f"return keras.Model(inputs, {output}, {name})")
            return self.lines
        first = next(n for n, key in self.piece.outputs.items() if key == self.piece.output)
        if flag := self.condition(self.heads[0]):
            self._line(f"if not {flag}:")
            self._line(f"return keras.Model(inputs, {output}, {name})", INDENT)
        items = [f'"{first}": {output}']
        for head in self.heads:
            named = next(n for n, key in self.piece.outputs.items() if key == head.key)
            inputs = [self.values[source] for source in head.sources]
            self._statements(head, head.layer, inputs, named, 0)
            items.append(f'"{named}": {named}')
        self._line(f"outputs = {{{', '.join(items)}}}")
        self._line(f"return keras.Model(inputs, outputs, {name})")
        return self.lines

    def _returned(self, output: Expression) -> None:
        """Return the value of the last statement, without a variable if that is possible."""
        start = f"{' ' * self.indent}{output} = "
        last = max(
            (
                n
                for n, line in enumerate(self.lines)
                if line.startswith(" " * self.indent + str(output))
            ),
            default=None,
        )
        closed = last is not None and all(
            line.startswith(" " * (self.indent + 1)) or line.strip().startswith(")")
            for line in self.lines[last + 1 :]
        )
        statement = last is not None and not any(
            line.strip().startswith(("if ", "for ", "else")) for line in self.lines[last:]
        )
        if last is not None and closed and statement and self.lines[last].startswith(start):
            rest = self.lines[last].removeprefix(start)
            if width(f"{' ' * self.indent}return {rest}") <= LINE:
                self.lines[last] = f"{' ' * self.indent}return {rest}"
                return
        self._line(f"return {output}")
