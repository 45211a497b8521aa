"""Unifies the instances of each block of a spec to one piece with parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from keyword import iskeyword

from zoo.backend.calls import Call
from zoo.errors import BackendError
from zoo.graphs.nodes import Node
from zoo.writing.calls import Calls
from zoo.writing.collection import Collection, Definition, Instance
from zoo.writing.folding import Text
from zoo.writing.hoisting import hoist
from zoo.writing.naming import camel_case, network_name, plural
from zoo.writing.pieces import Chain, Layer, Loop, Made, Member, Piece, Used
from zoo.writing.repetitions import LoopScope, is_numbered
from zoo.writing.scope import (
    ABSENT,
    OF_CHANNELS,
    Column,
    Scope,
    frozen,
    is_constant,
    representative,
)
from zoo.writing.stated import Stated, layers_of
from zoo.writing.tables import Tables

Describe = Callable[[Node], Call]

#: Names that functions of source files have for something else.
TAKEN = ("self", "x", "name", "rngs", "i", "row")

#: Fields of layers that are no arguments.
_OTHERS = {"op", "block", "layers", "from", "when", "repeat", "table", "after", "published"}


class _TabledError(Exception):
    """A table states parameters of a block."""

    def __init__(self, kind: str, names: set[str]) -> None:
        super().__init__(kind)
        self.kind, self.names = kind, frozenset(names)


class _UnlikeError(Exception):
    """Blocks of which a layer is one or another have other parameters."""

    def __init__(self, kinds: Sequence[str], names: Sequence[str]) -> None:
        super().__init__(f"{' and '.join(kinds)} take other arguments")
        self.kinds, self.names = kinds, frozenset(names)


def unified(
    collection: Collection, describe: Describe, fields: Mapping[str, str], pairs: bool = False
) -> Unifier:
    """Return the pieces of a source file, and its tables.

    Args:
        collection: The network.
        describe: Returns the call that makes the layer of a node.
        fields: Argument of a framework's layer -> field of the operation, where they differ.
        pairs: Whether the framework's layers take pairs only, rather than one number.
    """
    # Blocks have the parameters that they need. Those of which a layer is one or another, such as
    # the kinds of blocks in a stage, need those of all, and some are in tables; so blocks are made
    # once more.
    common: dict[str, frozenset[str]] = {}
    tabled: dict[str, frozenset[str]] = {}
    while True:
        try:
            return Unifier(collection, describe, fields, pairs, common, tabled)
        except _TabledError as error:
            tabled[error.kind] = tabled.get(error.kind, frozenset()) | error.names
        except _UnlikeError as error:
            more = {kind: common.get(kind, frozenset()) | error.names for kind in error.kinds}
            if all(common.get(kind) == names for kind, names in more.items()):
                raise BackendError(str(error)) from None
            common |= more


class Unifier:
    """Makes the pieces of a source file; see :func:`unified`.

    Args:
        collection: The network.
        describe: Returns the call that makes the layer of a node.
        fields: Argument of a framework's layer -> field of the operation, where they differ.
        pairs: Whether the framework's layers take pairs only, rather than one number.
        common: Block -> parameters that it has because others have them.
        tabled: Block -> parameters that it has, if it needs them, because a table has them.

    Attributes:
        pieces: The pieces, each after those that it uses; the last one is the network.
        tables: The tables that loops go through, by their names in the file.
    """

    def __init__(
        self,
        collection: Collection,
        describe: Describe,
        fields: Mapping[str, str],
        pairs: bool,
        common: Mapping[str, frozenset[str]],
        tabled: Mapping[str, frozenset[str]],
    ) -> None:
        self.collection, self.describe = collection, describe
        self.calls = Calls(fields, pairs)
        self.common, self.tabled = common, tabled
        self.pieces: list[Piece] = []
        self.made: dict[str, Piece] = {}
        self.tables = Tables(collection)
        graph = collection.graphs[0]
        rows = [
            collection.instance(number, again.root, {})
            for number, again in enumerate(collection.graphs)
        ]
        defaults = {name: graph.options[name] for name in ("num_classes", "aux")}
        scope = Scope([row.names for row in rows], [], defaults)
        root = Piece(graph.name, network_name(graph.about.get("title"), graph.name))
        root.is_network = True
        channels, height, width = graph.input_shape
        root.input_shape = (height, width, channels)
        root.about = str(graph.about.get("about") or "")
        self.outputs = {o.step: o.name for again in collection.graphs for o in again.outputs}
        layers = collection.document.get("layers", {}) or layers_of(rows)
        self.fill(root, layers, rows, scope)
        keys = {member.key: member for member in root.members}
        stated = Stated(collection, layers, rows)
        names = {step: step if step in keys else stated.key(step) for step in self.outputs}
        root.outputs = {name: names[step] for step, name in self.outputs.items()}
        heads = {keys[key].condition for key in root.outputs.values() if key != root.output}
        if len(heads) > 1:
            raise BackendError(f"the outputs {', '.join(root.outputs)} depend on different options")
        if heads - {None}:
            root.parameters["aux"] = root.parameters.pop("aux", defaults["aux"])

    # Pieces

    def piece(self, kind: str) -> Piece:
        """Return the piece of a block of the spec."""
        if kind not in self.made:
            definition = self.collection.document["blocks"][kind]
            piece = Piece(kind, camel_case(kind), str(definition.get("about") or ""))
            self.made[kind] = piece
            parameters = definition.get("parameters", {})
            for name in parameters:
                if iskeyword(name) or name in TAKEN:
                    raise BackendError(
                        f"source code has no parameter {name!r}; choose another name in the block "
                        f"{kind!r}"
                    )
            self.parametrize(piece, parameters, definition["layers"], self.collection.uses[kind])
        return self.made[kind]

    def parametrize(
        self, piece: Piece, defaults: Definition, layers: Definition, rows: Sequence[Instance]
    ) -> None:
        vector = len(rows[0].block.input_shape) == 1
        channels = [row.block.input_shape[0] for row in rows]
        name = "in_features" if vector else "in_channels"
        piece.channels = name
        common = self.common.get(piece.kind, frozenset())
        names = [row.names for row in rows]
        tabled = self.tabled.get(piece.kind, frozenset())
        scope = Scope(names, list(defaults), defaults, channels, name, common, tabled)
        self.fill(piece, layers, rows, scope)

    def fill(
        self, piece: Piece, layers: Definition, rows: Sequence[Instance], scope: Scope
    ) -> None:
        piece.members, last = self.members(piece, layers, rows, scope)
        piece.output = last
        if piece.is_network:
            step = rows[0].block.output
            steps = {member.key for member in piece.members}
            piece.output = (
                step if step in steps else Stated(self.collection, layers, rows).key(step)
            )
        piece.local = {name: scope.local[name] for name in scope.local if name in scope.used}
        columns = {**scope.initial, **scope.extra}
        if piece.channels in columns:  # the channels that it reads come first
            columns = {piece.channels: columns[piece.channels], **columns}
        required, optional = {}, {}
        for name in columns:
            if name not in {*scope.used, *scope.common} or name in scope.local:
                continue
            default = frozen(scope.defaults.get(name))
            if default is None or (isinstance(default, str) and "$" in default):
                required[name] = ...
            else:
                optional[name] = default
        required |= dict.fromkeys(sorted(scope.common - columns.keys()), ...)
        if piece.is_network and required:
            raise BackendError(
                f"{piece.kind}: no source code can be written for a network in which "
                f"{', '.join(required)} varies with num_classes or aux"
            )
        piece.parameters = {**required, **optional}
        for number, row in enumerate(rows):
            piece.bindings[row.number, row.block.name] = {
                name: columns[name][number] if name in columns else ABSENT
                for name in piece.parameters
            }
        hoist(piece)
        self.pieces.append(piece)

    # Members

    def members(
        self,
        piece: Piece,
        layers: Definition,
        rows: Sequence[Instance | None],
        scope: Scope,
    ) -> tuple[tuple[Member, ...], str]:
        """Unify layers of the spec in all instances, of which some may not have the block.

        Returns:
            The members, and the name of the one whose value the block returns.
        """
        members: list[Member] = []
        stands_for = {"input": "input"}
        previous = "input"
        stated = Stated(self.collection, layers, rows)
        for key, layer, unrolled in stated.unrolled(self.outputs if piece.is_network else ()):
            if unrolled:
                piece.unrolled[key] = unrolled
            sources = stated.sources(layer, previous, stands_for)
            scope.reading = sources[0]
            if layer.get("repeat") is not None:
                member = self.repeated(piece, key, layer, rows, scope, sources)
            else:
                member = self.single(piece, key, layer, rows, scope, sources)
            stands_for[key] = key if member else sources[0]
            previous = stands_for[key]
            if member:
                members.append(member)
                self.remember(member, rows, scope)
        return tuple(members), previous

    def remember(self, member: Member, rows: Sequence[Instance | None], scope: Scope) -> None:
        """Remember what a member returns, for what reads it."""
        layer = member.layer
        if member.loop or not isinstance(layer, Made | Used):
            return
        children = [ABSENT if row is None else row.child(member.key) for row in rows]
        shapes = [c.shape[0] if c is not ABSENT and c is not None else ABSENT for c in children]
        known = scope.candidates
        values = {n: v for n, v in layer.arguments.items() if isinstance(v, Text)}
        for name, value in values.items():
            if not name.startswith("out_") or value in known:
                continue
            if not value.isidentifier() and scope.holds(value, shapes):
                known.append(value)
        found = {v for n, v in values.items() if n not in OF_CHANNELS and scope.holds(v, shapes)}
        reads = scope.returned.get(member.sources[0])
        if len(found) == 1:
            scope.returned[member.key] = found.pop()
        elif reads and isinstance(layer, Made) and scope.holds(reads, shapes):
            scope.returned[member.key] = reads

    def single(
        self,
        piece: Piece,
        key: str,
        layer: Definition,
        rows: Sequence[Instance | None],
        scope: Scope,
        sources: tuple[str, ...],
    ) -> Member | None:
        children = [ABSENT if row is None else row.child(key) for row in rows]
        present = [c if c is ABSENT else c is not None for c in children]
        if not any(p is True for p in present):
            return None
        condition = None
        if not is_constant(present):
            condition = scope.express(present, layer.get("when"), f"has_{key}")
        children = [ABSENT if child is None else child for child in children]
        made = self.layer(piece, key, layer, rows, children, scope)
        op = representative(children)
        return Member(
            key,
            op.op if isinstance(op, Node) else "",
            made,
            sources,
            condition,
            table=str(layer.get("table") or ""),
        )

    def layer(
        self,
        piece: Piece,
        key: str,
        layer: Definition,
        rows: Sequence[Instance | None],
        children: Column,
        scope: Scope,
    ) -> Layer:
        first = representative(children)
        if isinstance(first, Node):
            calls = [c if c is ABSENT else self.describe(c) for c in children]
            return self.calls.unified(calls, layer, scope, key)
        numbers = [ABSENT if row is None else row.number for row in rows]
        kinds = [
            c if c is ABSENT else self.collection.kind(n, c)
            for n, c in zip(numbers, children, strict=True)
        ]
        if representative(kinds) is None:
            return self.group(piece, key, layer, rows, children, scope)
        return self.use(kinds, numbers, children, layer, scope, key)

    def use(
        self,
        kinds: Column,
        numbers: Column,
        children: Column,
        layer: Definition,
        scope: Scope,
        key: str,
    ) -> Used:
        """Unify the uses of one block, or of several blocks with the same parameters."""
        names = list(dict.fromkeys(kind for kind in kinds if kind is not ABSENT))
        pieces = [self.piece(kind) for kind in names]
        bindings = [
            c if c is ABSENT else self.piece(k).bindings[n, c.name]
            for k, n, c in zip(kinds, numbers, children, strict=True)
        ]
        arguments = {}
        parameters = list(dict.fromkeys(name for piece in pieces for name in piece.parameters))
        for name in parameters:
            if any(name not in piece.parameters for piece in pieces):
                raise _UnlikeError(names, parameters)
            column = [b if b is ABSENT else b[name] for b in bindings]
            stated = layer.get(name) if name not in _OTHERS else None
            arguments[name] = scope.express(column, stated, name, key)
        chosen = None
        if len(pieces) > 1:
            for piece in pieces:
                piece.others += [other for other in pieces if other not in (piece, *piece.others)]
            column = [k if k is ABSENT else Text(self.piece(k).name) for k in kinds]
            chosen = scope.express(column, layer.get("block"), "block")
        return Used(pieces[0], arguments, chosen)

    def group(
        self,
        piece: Piece,
        key: str,
        layer: Definition,
        rows: Sequence[Instance | None],
        children: Column,
        scope: Scope,
    ) -> Layer:
        inner = [
            None if child is ABSENT or row is None else Instance(row.number, child, row.names)
            for row, child in zip(rows, children, strict=True)
        ]
        definition = layer.get("layers") or layers_of(inner)
        present = [row for row in inner if row is not None]
        keys = {tuple(step.name for step in row.block.steps) for row in present}
        chained = all(row.block.is_chain for row in present) and len(keys) == 1
        if chained and not any(item.get("repeat") for item in definition.values()):
            outer, reading = scope.returned, scope.reading
            scope.returned = {"input": outer[reading]} if reading in outer else {}
            members = self.members(piece, definition, inner, scope)[0]
            scope.returned, scope.reading = outer, reading
            return Chain(members)
        kind = f"{piece.kind}_{key}"
        new = Piece(kind, camel_case(kind), group=piece.place(key))
        blocks = self.collection.document.get("blocks", {})
        parameters = blocks.get(piece.kind, {}).get("parameters", {})
        self.parametrize(new, dict.fromkeys(parameters), definition, present)
        numbers = [ABSENT if row is None else row.number for row in inner]
        bindings = [
            c if c is ABSENT else new.bindings[n, c.name]
            for n, c in zip(numbers, children, strict=True)
        ]
        arguments = {
            name: scope.express([b if b is ABSENT else b[name] for b in bindings], f"${name}", name)
            for name in new.parameters
        }
        return Used(new, arguments)

    # Loops

    def repeated(
        self,
        piece: Piece,
        key: str,
        layer: Definition,
        rows: Sequence[Instance | None],
        scope: Scope,
        sources: tuple[str, ...],
    ) -> Member | None:
        found = [[] if row is None else self.collection.repetitions(row, key) for row in rows]
        counts = [len(names) for names in found]
        if not any(counts):
            return None
        owners = [row for row, n in zip(rows, counts, strict=True) for _ in range(n)]
        flat = [child for names in found for _, child in names]
        repeat = layer["repeat"]
        is_table = isinstance(repeat, Mapping)
        is_named = is_table or not all(is_numbered([n for n, _ in names], key) for names in found)
        names = [
            self.tables.name(repeat["table"], row) if is_table and row else plural(key)
            for row in rows
        ]
        cells = self.tables.cells(set(names), owners, flat) if is_table else {}
        cells = {name: column for name, column in cells.items() if name not in layer}
        if is_table:
            self.keep(owners, flat, cells)
        inner = LoopScope(scope, found, repeat, cells if is_named else None)
        made = self.layer(piece, key, layer, owners, flat, inner)
        inner.finish(partial(self.tables.add, names, made))
        count, row = None, ""
        if is_named:
            taken = {*scope.columns, *scope.extra, *scope.local, *inner.variables}
            free = ("name", "key", "row_name") if piece.is_network else ("key", "row_name")
            row = next(name for name in free if name not in taken)
        elif not inner.variables:
            stated = repeat if isinstance(repeat, str) else None
            column = [ABSENT if row is None else n for row, n in zip(rows, counts, strict=True)]
            count = scope.express(column, stated, "depth")
        loop = Loop(
            count,
            inner.variables,
            inner.rows,
            row,
            inner.running,
            inner.start,
            inner.following,
            "i" in inner.used,
        )
        op = flat[0].op if isinstance(flat[0], Node) else ""
        return Member(key, op, made, sources, None, loop)

    def keep(
        self, owners: Sequence[Instance | None], uses: Column, cells: Mapping[str, Column]
    ) -> None:
        """Keep what a table states as parameters of blocks, so that its cells can be changed."""
        for owner, use in zip(owners, uses, strict=True):
            kind = owner and self.collection.kind(owner.number, use)
            wanted = {*cells, "in_channels", "in_features"}
            if kind and not wanted <= self.tabled.get(kind, frozenset()):
                raise _TabledError(kind, wanted)
