"""Writes the classes of Flax: layers take random numbers, or are functions with settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zoo.writing.flax import DEFAULTS
from zoo.writing.folding import Text
from zoo.writing.layout import Expression, call
from zoo.writing.modules import ModuleWriter
from zoo.writing.pieces import Chain, Layer, Made, Member, Piece


class FlaxWriter(ModuleWriter):
    """Writes classes whose layers take random numbers, or are functions with settings."""

    def first_lines(self) -> list[str]:
        return []

    def piece(self, piece: Piece, is_network: bool) -> str:
        self.paths: dict[str, str] = {}
        return super().piece(piece, is_network)

    def more_parameters(self) -> list[str]:
        has_defaults = any(value is not ... for value in self.current.parameters.values())
        return ["*", "rngs"] if has_defaults else ["rngs"]

    def more_arguments(self) -> list[Any]:
        return [("rngs", "rngs")]

    def made_arguments(self, made: Made) -> list[Any]:
        package, _, name = made.target.rpartition(".")
        return [("rngs", "rngs")] if package == "flax.nnx" and name[0].isupper() else []

    def computed(self, piece: Piece) -> Piece:
        """Return a piece in which the layers of groups are applied one by one."""
        members: list[Member] = []
        for member in piece.members:
            chain = self.links(member)
            sources = member.sources
            for inner in chain:
                key = member.key if inner is chain[-1] else f"{member.key}_{inner.key}"
                self.paths[key] = f"{member.key}.{inner.key}"
                members.append(replace(inner, key=key, sources=sources))
                sources = (key,)
            members += [] if chain else [member]
        return replace(piece, members=members)

    def links(self, member: Member) -> tuple[Member, ...]:
        """Return the layers of a group that needs no class of its own."""
        layer = member.layer
        if not isinstance(layer, Chain) or member.condition or member.loop:
            return ()
        plain = all(len(inner.sources) == 1 and not inner.condition for inner in layer.members)
        nested = any(inner.loop or isinstance(inner.layer, Chain) for inner in layer.members)
        return layer.members if plain and not nested else ()

    def layer(self, layer: Layer, member: Member | None = None) -> Expression:
        links = self.links(member) if member and layer is member.layer else ()
        if not (links and member):
            return super().layer(layer, member)
        outer, self.inside = self.inside, f"{self.inside}{member.key}."
        pairs = [self.link(inner) for inner in links if not self.is_function(inner)]
        self.inside = outer
        return call("nnx.Dict", pairs)

    def path(self, member: Member) -> str:
        return self.paths.get(member.key, member.key)

    def is_function(self, member: Member) -> bool:
        """Tell whether a member is a function that is called where its value is needed."""
        layer = member.layer
        if not isinstance(layer, Made) or member.condition or member.loop:
            return False
        varies = any(isinstance(value, Text) for value in layer.arguments.values())
        return layer.target.rpartition(".")[2][0].islower() and not varies

    def inline(self, member: Member) -> str | None:
        links = self.links(member)
        if links and all(map(self.is_function, links)):
            return "functions"
        return "a function" if self.is_function(member) else super().inline(member)

    def apply(self, member: Member, inputs: Sequence[Expression]) -> Expression:
        if not self.is_function(member):
            return super().apply(member, inputs)
        assert isinstance(member.layer, Made)
        target, settings = self.target(member.layer), self.settings(member.layer)
        windows = 2 if target.endswith("pool") else 0  # which are given by position
        shown = [("" if n < windows else k, v) for n, (k, v) in enumerate(settings)]
        return call(target, [*inputs, *shown])

    def settings(self, made: Made) -> list[tuple[str, Expression]]:
        """Return the arguments of a function that are not its defaults."""
        defaults = DEFAULTS.get(made.target, {})
        found = []
        for key, value in made.arguments.items():
            if key in defaults and value == defaults[key] and type(value) is type(defaults[key]):
                continue
            if key == "padding" and type(value) is int:
                value = ((value, value), (value, value))
            found.append((key, self.value(value)))
        return found

    def made(self, made: Made) -> Expression:
        name = made.target.rpartition(".")[2]
        if name[0].isupper():
            return super().made(made)
        target, settings = self.target(made), self.settings(made)
        return call("partial", [target, *settings]) if settings else target
