"""Unifies the instances of each block of a spec to one piece with parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zoo.backend.calls import Call
from zoo.errors import BackendError
from zoo.graphs.nodes import Node
from zoo.writing.collection import Collection, Instance
from zoo.writing.folding import Text
from zoo.writing.hoisting import hoist
from zoo.writing.naming import camel_case, network_name, snake_case
from zoo.writing.pieces import Chain, Either, Layer, Loop, Made, Member, Piece, Used
from zoo.writing.repetitions import LoopScope, numbering
from zoo.writing.scope import (
    ABSENT,
    Column,
    Scope,
    frozen,
    is_constant,
    representative,
    squeezed,
)

Describe = Callable[[Node], Call]
Definition = Mapping[str, Any]

#: Fields of layers that are no arguments.
_OTHERS = {"op", "block", "layers", "from", "when", "repeat", "table", "after", "published"}


class _UnlikeError(Exception):
    """Blocks of which a layer is one or another have other parameters."""

    def __init__(self, kinds: Sequence[str], names: Sequence[str]) -> None:
        super().__init__(f"{' and '.join(kinds)} take other arguments")
        self.kinds, self.names = kinds, frozenset(names)


def unified(
    collection: Collection, describe: Describe, fields: Mapping[str, str], pairs: bool = False
) -> list[Piece]:
    """Return the pieces of a source file.

    Args:
        collection: The network.
        describe: Returns the call that makes the layer of a node.
        fields: Argument of a framework's layer -> field of the operation, where they differ.
        pairs: Whether the framework's layers take pairs only, rather than one number.

    Returns:
        The pieces, each after those that it uses; the last one is the network.
    """
    # Blocks have the parameters that they need. Those of which a layer is one or another, such as
    # the kinds of blocks in a stage, need those of all; so they are made once more.
    common: dict[str, frozenset[str]] = {}
    while True:
        try:
            return Unifier(collection, describe, fields, pairs, common).pieces
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

    Attributes:
        pieces: The pieces, each after those that it uses; the last one is the network.
    """

    def __init__(
        self,
        collection: Collection,
        describe: Describe,
        fields: Mapping[str, str],
        pairs: bool,
        common: Mapping[str, frozenset[str]],
    ) -> None:
        self.collection, self.describe, self.fields = collection, describe, fields
        self.pairs, self.common = pairs, common
        self.pieces: list[Piece] = []
        self.made: dict[str, Piece] = {}
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
        root.outputs = {}
        layers = collection.document.get("layers", {}) or _layers_of(rows)
        self.fill(root, layers, rows, scope)
        for again in collection.graphs:
            if len(again.outputs) > len(root.outputs):
                root.outputs = {output.name: output.step for output in again.outputs}
        if len(root.outputs) > 1:
            root.parameters["aux"] = root.parameters.pop("aux", defaults["aux"])

    # Pieces

    def piece(self, kind: str) -> Piece:
        """Return the piece of a block of the spec."""
        if kind not in self.made:
            definition = self.collection.document["blocks"][kind]
            piece = Piece(kind, camel_case(kind), str(definition.get("about") or ""))
            self.made[kind] = piece
            parameters = definition.get("parameters", {})
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
        scope = Scope(names, list(defaults), defaults, channels, name, common)
        self.fill(piece, layers, rows, scope)

    def fill(
        self, piece: Piece, layers: Definition, rows: Sequence[Instance], scope: Scope
    ) -> None:
        piece.members, last = self.members(piece, layers, rows, scope)
        piece.output = self._key(rows[0].block.output, layers, rows) if piece.is_network else last
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
        for key, layer in layers.items():
            sources = self.sources(layer, layers, rows, previous, stands_for)
            repeated = layer.get("repeat") is not None
            if repeated:
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
        for name, value in layer.arguments.items():
            if not name.startswith("out_") or not isinstance(value, Text) or value in known:
                continue
            if not value.isidentifier() and scope.holds(value, shapes):
                known.append(value)

    def sources(
        self,
        layer: Definition,
        layers: Definition,
        rows: Sequence[Instance | None],
        previous: str,
        stands_for: Mapping[str, str],
    ) -> tuple[str, ...]:
        stated = layer.get("from")
        if stated is None:
            return (previous,)
        names = [stated] if isinstance(stated, str) else stated
        return tuple(stands_for[self._key(name, layers, rows)] for name in names)

    def _key(self, name: str, layers: Definition, rows: Sequence[Instance | None]) -> str:
        """Return the layer of the spec that a name stands for: of repetitions, the last one."""
        if name in layers or name == "input":
            return name
        for row in rows:
            if row is None:
                continue
            for key in layers:
                names = [n for n, _ in self.collection.repetitions(row, key)]
                if name in names:
                    if name != names[-1]:
                        raise BackendError(f"{key} is read before its last repetition")
                    return key
        return name

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
            return self.call(calls, layer, scope, key)
        numbers = [ABSENT if row is None else row.number for row in rows]
        kinds = [
            c if c is ABSENT else self.collection.kind(n, c)
            for n, c in zip(numbers, children, strict=True)
        ]
        if representative(kinds) is None:
            return self.group(piece, key, layer, rows, children, scope)
        return self.use(kinds, numbers, children, layer, scope, key)

    def call(self, calls: Column, layer: Definition, scope: Scope, key: str = "") -> Made | Either:
        """Unify the calls that make one layer."""
        targets = list(dict.fromkeys(c.target for c in calls if c is not ABSENT))
        if len(targets) == 2:
            choice = [c if c is ABSENT else c.target == targets[0] for c in calls]
            condition = scope.express(choice, None, f"is_{snake_case(targets[0])}")
            branches = [
                self.call(
                    [c if c is not ABSENT and c.target == t else ABSENT for c in calls],
                    layer,
                    scope,
                    key,
                )
                for t in targets
            ]
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

    def takes_pairs(self, target: str, argument: str) -> bool:
        """Tell whether one number may not stand for a pair, as where zoo's own layers unpack it."""
        return self.pairs or (target.startswith("zoo.") and argument in ("padding", "channels"))

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
        definition = layer.get("layers") or _layers_of(inner)
        present = [row for row in inner if row is not None]
        keys = {tuple(step.name for step in row.block.steps) for row in present}
        chained = all(row.block.is_chain for row in present) and len(keys) == 1
        if chained and not any(item.get("repeat") for item in definition.values()):
            return Chain(self.members(piece, definition, inner, scope)[0])
        kind = f"{piece.kind}_{key}"
        new = Piece(kind, camel_case(kind), group=piece.place(key))
        parameters = self.collection.document["blocks"].get(piece.kind, {}).get("parameters", {})
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
        prefix, first = numbering(found, key)
        inner = LoopScope(scope, counts, layer.get("repeat"))
        flat = [child for names in found for _, child in names]
        owners = [row for row, n in zip(rows, counts, strict=True) for _ in range(n)]
        made = self.layer(piece, key, layer, owners, flat, inner)
        inner.finish(flat, key)
        count = None
        if not inner.variables:
            stated = layer["repeat"] if isinstance(layer["repeat"], str) else None
            column = [ABSENT if row is None else n for row, n in zip(rows, counts, strict=True)]
            count = scope.express(column, stated, "depth")
        loop = Loop(
            prefix,
            first,
            count,
            inner.variables,
            inner.rows,
            inner.running,
            inner.start,
            inner.following,
            "i" in inner.used,
        )
        op = flat[0].op if isinstance(flat[0], Node) else ""
        return Member(key, op, made, sources, None, loop)


def _layers_of(rows: Sequence[Instance | None]) -> dict[str, dict[str, Any]]:
    """Return layers as a spec would have them, for a block that no spec describes."""
    layers: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row is not None:
            for step in row.block.steps:
                layers.setdefault(step.name, {"from": list(step.inputs)})
    return layers
