"""What is drawn, as data: boxes for what is folded, frames around open blocks, lines between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: In a frame's lines, the input of the frame itself.
INPUT = -1


@dataclass(frozen=True, eq=False)
class Box:
    """An operation, a folded block, or the input or an output of the network.

    Attributes:
        name: Path name; for repeated blocks ``first-last``. It is ``data-name`` in the picture.
        title: The first line in the box.
        label: The second line: what it computes.
        family: What its colour shows; one of ``zoo.views.drawing.labels.FAMILIES``.
        shape: Shape of its output; empty for an output of the network.
        tooltip: What is shown when the pointer rests on it.
    """

    name: str
    title: str
    label: str
    family: str
    shape: str = ""
    tooltip: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        names = ("name", "title", "label", "family", "shape")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, eq=False)
class Frame:
    """An open block, or the whole picture.

    Attributes:
        name: Path name.
        title: The line at its top.
        items: What it contains, in an order in which it can be computed.
        lines: Source and target of each line, as positions in ``items``. :data:`INPUT` is the
            frame's own input, and ``len(items)`` its output.
        tooltip: What is shown when the pointer rests on it.
    """

    name: str
    title: str
    items: tuple[Box | Frame, ...]
    lines: tuple[tuple[int, int], ...]
    tooltip: str = ""

    def name_of(self, position: int) -> str:
        """Return the name of an end of a line: an item, or the frame's own input or output."""
        if position == INPUT:
            return f"{self.name}.input"
        return self.name if position == len(self.items) else self.items[position].name

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON, the lines as pairs of names."""
        return {
            "name": self.name,
            "title": self.title,
            "items": [item.to_dict() for item in self.items],
            "lines": [
                [self.name_of(source), self.name_of(target)] for source, target in self.lines
            ],
        }
