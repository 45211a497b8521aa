"""A difference as data: the changes, and totals for each block and for the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from zoo.graphs.blocks import Block
from zoo.graphs.frozen import freeze
from zoo.graphs.graph import Graph
from zoo.graphs.serialization import plain
from zoo.views.difference.changes import Change, changes

#: Up to this many changes fit on a screen and are listed one by one.
_FEW = 40


@dataclass(frozen=True)
class Totals:
    """Totals of one of the two networks: its trainable values, and its MACs for one example."""

    name: str
    num_parameters: int
    macs: int


@dataclass(frozen=True)
class BlockTotals:
    """Old and new totals of a block; 0 where a network does not have it."""

    num_parameters: tuple[int, int]
    macs: tuple[int, int]


@dataclass(frozen=True, repr=False)
class DifferenceData:
    """How two networks differ.

    Attributes:
        old: The old network.
        new: The new network.
        changes: A change for each node that differs, in the order of the networks.
        blocks: Path name -> old and new totals of each block that contains a change.
        preprocessing: Field -> old and new value, for fields of the preprocessing that differ.
        initial_weights_differ: Whether ``init='paper'`` means other initial weights.
        every: Whether a table has a row for every change, instead of grouping similar ones.
    """

    old: Totals
    new: Totals
    changes: tuple[Change, ...]
    blocks: Mapping[str, BlockTotals]
    preprocessing: Mapping[str, list[Any]]
    initial_weights_differ: bool
    every: bool

    @classmethod
    def between(cls, old: Graph, new: Graph, every: bool = False) -> Self:
        """Compare two graphs.

        Args:
            old: The old network.
            new: The new network.
            every: Whether a table has a row for every change, however many there are.
        """
        differing = tuple(changes(old, new))
        before, after = old.preprocessing, new.preprocessing
        return cls(
            old=Totals(old.name, old.num_parameters, old.macs),
            new=Totals(new.name, new.num_parameters, new.macs),
            changes=differing,
            blocks=freeze(_block_totals(differing, old, new)),
            preprocessing=freeze(
                {
                    key: [before.get(key), after.get(key)]
                    for key in after
                    if before.get(key) != after.get(key)
                }
            ),
            initial_weights_differ=old.initializers != new.initializers,
            every=every or len(differing) <= _FEW,
        )

    def __bool__(self) -> bool:
        """Return whether the networks differ."""
        return bool(self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "same": not self,
            "models": [self.old.name, self.new.name],
            "num_parameters": [self.old.num_parameters, self.new.num_parameters],
            "macs": [self.old.macs, self.new.macs],
            "preprocessing": plain(self.preprocessing),
            "initial_weights_differ": self.initial_weights_differ,
            "changes": [{**plain(change), "words": change.words} for change in self.changes],
        }


def _block_totals(differing: tuple[Change, ...], old: Graph, new: Graph) -> dict[str, BlockTotals]:
    before, after = _blocks(old.root), _blocks(new.root)
    totals: dict[str, BlockTotals] = {}
    for change in differing:
        parts = change.name.split(".")
        for depth in range(1, len(parts)):
            path = ".".join(parts[:depth])
            if path not in totals:
                old_block, new_block = before.get(path), after.get(path)
                totals[path] = BlockTotals(
                    (_parameters(old_block), _parameters(new_block)),
                    (_macs(old_block), _macs(new_block)),
                )
    return totals


def _blocks(root: Block) -> dict[str, Block]:
    blocks = {}
    for step in root.steps:
        if isinstance(step.child, Block):
            blocks[step.child.name] = step.child
            blocks |= _blocks(step.child)
    return blocks


def _parameters(block: Block | None) -> int:
    return block.num_parameters if block else 0


def _macs(block: Block | None) -> int:
    return block.macs if block else 0
