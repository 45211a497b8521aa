"""What a spec states of the layers of a block, beside what they became in its instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from zoo.writing.collection import Collection, Definition, Instance


class Stated:
    """The layers that a spec states for a block, a group or the network.

    Args:
        collection: The network.
        layers: The layers.
        rows: All instances; None where there is none.
    """

    def __init__(
        self, collection: Collection, layers: Definition, rows: Sequence[Instance | None]
    ) -> None:
        self.collection, self.layers = collection, layers
        self.rows = [row for row in rows if row is not None]

    def key(self, name: str) -> str:
        """Return the layer that a name stands for: of repetitions, the last one."""
        if name in self.layers or name == "input":
            return name
        for row in self.rows:
            for key in self.layers:
                if name in self._repetitions(row, key):
                    return key
        return name

    def sources(
        self, layer: Definition, previous: str, stands_for: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Return the layers that a layer reads.

        Args:
            layer: The layer.
            previous: The layer before it.
            stands_for: Layer -> the one that returns its value, where it is left out.
        """
        stated = layer.get("from")
        if stated is None:
            return (previous,)
        names = [stated] if isinstance(stated, str) else stated
        return tuple(stands_for[n if n in stands_for else self.key(n)] for n in names)

    def unrolled(self, outputs: Iterable[str]) -> Iterator[tuple[str, Definition, str]]:
        """Yield each layer with its name, and with the one that it is a repetition of, if any.

        A repeated layer of which more than the last repetition is read is as many layers.

        Args:
            outputs: Names that are read from outside.
        """
        read = set(outputs)
        for layer in self.layers.values():
            stated = layer.get("from") or ()
            read.update([stated] if isinstance(stated, str) else stated)
        for key, layer in self.layers.items():
            found = [names for row in self.rows if (names := self._repetitions(row, key))]
            if read.isdisjoint(name for names in found for name in names[:-1]):
                yield key, layer, ""
                continue
            once = {field: value for field, value in layer.items() if field != "repeat"}
            for name in dict.fromkeys(name for names in found for name in names):
                yield name, once, key

    def _repetitions(self, row: Instance, key: str) -> list[str]:
        return [name for name, _ in self.collection.repetitions(row, key)]


def layers_of(rows: Sequence[Instance | None]) -> dict[str, dict[str, Any]]:
    """Return layers as a spec would have them, for a block that no spec describes."""
    layers: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row is not None:
            for step in row.block.steps:
                layers.setdefault(step.name, {"from": list(step.inputs)})
    return layers
