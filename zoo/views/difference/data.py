"""A difference as data: the changes, and what they amount to in each block and in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from zoo.graphs.blocks import Block
from zoo.graphs.exchange import plain
from zoo.graphs.frozen import freeze
from zoo.graphs.graph import Graph
from zoo.views.difference.changes import Change, changes

#: Up to this many changes fit a screen, and are listed one by one.
_FEW = 40


@dataclass(frozen=True)
class Totals:
    """One of the two networks: its name, trainable values, and MACs of one example."""

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
        old: The one network.
        new: The other.
        changes: A change for each node that differs, in the order of the networks.
        blocks: Path name -> old and new totals of each block that contains a change.
        preprocessing: Field -> old and new value, where photographs are prepared differently.
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
            old: One network.
            new: The other.
            every: Whether a table lists every change, however many there are.
        """
        found = tuple(changes(old, new))
        before, after = old.preprocessing, new.preprocessing
        return cls(
            old=Totals(old.name, old.num_parameters, old.macs),
            new=Totals(new.name, new.num_parameters, new.macs),
            changes=found,
            blocks=freeze(_block_totals(found, old, new)),
            preprocessing=freeze(
                {
                    key: [before.get(key), after.get(key)]
                    for key in after
                    if before.get(key) != after.get(key)
                }
            ),
            initial_weights_differ=old.initializers != new.initializers,
            every=every or len(found) <= _FEW,
        )

    def __bool__(self) -> bool:
        """Whether the networks differ."""
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


def _block_totals(found: tuple[Change, ...], old: Graph, new: Graph) -> dict[str, BlockTotals]:
    before, after = _blocks(old.root), _blocks(new.root)
    totals: dict[str, BlockTotals] = {}
    for change in found:
        parts = change.name.split(".")
        for depth in range(1, len(parts)):
            path = ".".join(parts[:depth])
            if path not in totals:
                pair = before.get(path), after.get(path)
                totals[path] = BlockTotals(
                    (_parameters(pair[0]), _parameters(pair[1])), (_macs(pair[0]), _macs(pair[1]))
                )
    return totals


def _blocks(root: Block) -> dict[str, Block]:
    found = {}
    for step in root.steps:
        if isinstance(step.child, Block):
            found[step.child.name] = step.child
            found |= _blocks(step.child)
    return found


def _parameters(block: Block | None) -> int:
    return block.num_parameters if block else 0


def _macs(block: Block | None) -> int:
    return block.macs if block else 0
