"""The contents of a drawing as data: boxes, frames around open blocks, and lines between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Represents the input of the frame itself in its lines.
INPUT = -1


@dataclass(frozen=True, eq=False)
class Box:
    """An operation, a folded block, or the input or an output of the network.

    Attributes:
        name: Path name; for repeated blocks ``first-last``. It is ``data-name`` in the SVG.
        title: The first line in the box.
        label: The second line: what it computes.
        family: One of ``zoo.views.drawing.labels.FAMILIES``; it determines the color.
        shape: Shape of its output; empty for an output of the network.
        tooltip: The text of its tooltip.
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
        items: Its contents, in an order in which they can be computed.
        lines: Source and target of each line, as positions in ``items``. :data:`INPUT` is the
            frame's own input, and ``len(items)`` its output.
        tooltip: The text of its tooltip.
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
