"""What a set of combinations of switches can tell apart: groups, effects, aliases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from zoo.comparing.pairing import Levels

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: An alias with a smaller weight is not listed: it comes from the two corners, which are run in
#: addition to a fraction, and would have to be large itself to matter.
LEAST_ALIAS = 0.15

#: Switches that are always native together, in their order.
Group = tuple[str, ...]


@dataclass(frozen=True)
class Alias:
    """An interaction that a design cannot tell from the effect of a switch.

    Attributes:
        switches: The interaction.
        weight: How much of it is in the effect, from -1 to 1.
    """

    switches: tuple[str, ...]
    weight: float

    def __str__(self) -> str:
        return " × ".join(self.switches)


@dataclass(frozen=True)
class Design:
    """Which combinations of switches have been run in a backend.

    Attributes:
        groups: The switches that vary; those that only vary together are one.
        rows: The combinations, each with its native switches.
    """

    groups: tuple[Group, ...]
    rows: tuple[Levels, ...]

    @classmethod
    def of(cls, rows: Iterable[Levels], switches: Sequence[str]) -> Design:
        """Make the design of combinations.

        Args:
            rows: The combinations.
            switches: All switches, in the order in which they are to be shown.
        """
        listed = tuple(dict.fromkeys(rows))
        columns: dict[tuple[bool, ...], list[str]] = {}
        for name in switches:
            column = tuple(name in row for row in listed)
            if len(set(column)) > 1:
                columns.setdefault(column, []).append(name)
        return cls(tuple(tuple(names) for names in columns.values()), listed)

    @property
    def is_full(self) -> bool:
        """Whether all combinations have been run."""
        return len(self.rows) == 1 << len(self.groups)

    @property
    def separates(self) -> bool:
        """Whether the effects of all groups can be told apart."""
        matrix = self.matrix(self.rows)
        return bool(np.linalg.matrix_rank(matrix) == matrix.shape[1])

    def matrix(self, rows: Sequence[Levels]) -> Array:
        """Return [rows, 1 + groups]: ones, and 1 where a group is native, otherwise -1."""
        signs = [[1.0, *(1.0 if g[0] in row else -1.0 for g in self.groups)] for row in rows]
        return np.array(signs).reshape(len(rows), 1 + len(self.groups))

    def effects(self, rows: Sequence[Levels], values: Sequence[float]) -> Array | None:
        """Return by how much each group changes a value, on average, by least squares.

        Args:
            rows: Combinations, some or all of the design.
            values: Of each.

        Returns:
            [groups]; None if these rows do not tell them apart. What is left by rounding is 0: it
            is nearly the same for every seed, so that a test would find it significant.

        Example:
            >>> design = Design.of(
            ...     [frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")], "ab")
            >>> design.effects(design.rows, [1.0, 3.0, 1.5, 3.5]).round(9).tolist()
            [2.0, 0.5]
        """
        matrix = self.matrix(rows)
        if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
            return None
        found: Array = 2 * np.linalg.lstsq(matrix, np.asarray(values), rcond=None)[0][1:]
        found[np.abs(found) < 1e-12 * np.abs(values).max()] = 0.0
        return found

    def aliases(self) -> dict[Group, tuple[Alias, ...]]:
        """Return the interactions of two and three groups that are in the effect of each."""
        if self.is_full or not self.separates:
            return dict.fromkeys(self.groups, ())
        matrix = self.matrix(self.rows)
        found: dict[Group, list[Alias]] = {group: [] for group in self.groups}
        inverse = np.linalg.pinv(matrix)
        for size in (2, 3):
            for chosen in combinations(range(len(self.groups)), size):
                weights = inverse @ matrix[:, [1 + i for i in chosen]].prod(axis=1)
                names = tuple(" + ".join(self.groups[i]) for i in chosen)
                for i, group in enumerate(self.groups):
                    if i not in chosen and abs(weights[1 + i]) > LEAST_ALIAS:
                        found[group].append(Alias(names, round(float(weights[1 + i]), 3)))
        return {group: tuple(each) for group, each in found.items()}

    def describe(self) -> str:
        """Say how many combinations there are, and the resolution.

        Example:
            >>> design = Design.of(
            ...     [frozenset(), frozenset("ab"), frozenset("ac"), frozenset("bc")], "abc")
            >>> design.describe()
            '4 of 8 combinations, resolution III'
        """
        if self.is_full:
            return f"all {len(self.rows)} combinations"
        text = f"{len(self.rows)} of {2 ** len(self.groups)} combinations"
        if not self.separates:
            return f"{text}, which cannot separate the switches"
        orders = {len(a.switches) for each in self.aliases().values() for a in each}
        if 2 in orders:
            return f"{text}, resolution III"
        if 3 in orders or not self._separates_pairs:
            return f"{text}, resolution IV"
        return f"{text}, resolution V or higher"

    @property
    def _separates_pairs(self) -> bool:
        matrix = self.matrix(self.rows)
        pairs = [matrix[:, 1 + a] * matrix[:, 1 + b] for a, b in self._pairs]
        whole = np.column_stack([matrix, *pairs])
        return bool(np.linalg.matrix_rank(whole) == whole.shape[1])

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.groups)), 2))
