"""The report of a comparison of an ONNX file with a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

_WIDTH = 120  # columns, if there is no terminal


@dataclass(frozen=True)
class ComparedNode:
    """A node, and the value of the file that equals it; None if there is none.

    Attributes:
        name: The node's name.
        op: Its operation.
        value: The name of the value.
        error: The value's error.
    """

    name: str
    op: str
    value: str | None
    error: float | None


@dataclass(frozen=True)
class ComparedOutput:
    """An output of the network, and that of the file.

    Attributes:
        name: The network's name.
        value: The file's.
        error: Its error, as it is or as a softmax.
        softmax: Whether the file's is the softmax of the network's.
    """

    name: str
    value: str
    error: float
    softmax: bool


@dataclass(frozen=True)
class FileReport:
    """What was compared, and where the file diverges.

    Attributes:
        file: The file.
        model: The network.
        options: Its options.
        weights: Where the weights are from.
        input: How the input was matched.
        outputs: The outputs, in the order of the network.
        matched: How the outputs were matched.
        image: What the networks were run on.
        tolerance: The largest error of equal values.
        nodes: The nodes, in the order of computation.
        problems: Where the file diverges; empty if it does not.
        notes: What limits the comparison.
    """

    file: str
    model: str
    options: Mapping[str, Any]
    weights: str
    input: str
    outputs: tuple[ComparedOutput, ...]
    matched: str
    image: str
    tolerance: float
    nodes: tuple[ComparedNode, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the file computes the network."""
        return not self.problems

    @property
    def compared(self) -> int:
        """The number of nodes that have an equal value."""
        return sum(node.value is not None for node in self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {**asdict(self), "options": dict(self.options), "passed": self.passed}

    def __rich__(self) -> Group:
        table = Table(show_header=False)
        table.add_column("")
        table.add_column("", overflow="fold")
        for label, text in self._rows():
            table.add_row(label, escape(text))
        problems = [f"[red]✗[/red] {escape(problem)}" for problem in self.problems]
        return Group(table, *map(escape, self.notes), *problems, self._verdict())

    def __str__(self) -> str:
        console = Console(width=_WIDTH, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()

    def _rows(self) -> list[tuple[str, str]]:
        height, width = self.options["input_size"]
        rows = [
            ("file", self.file),
            ("network", f"{self.model}, {height}x{width}"),
            ("weights", self.weights),
            ("input", f"{self.input}; {self.image}"),
        ]
        for output in self.outputs:
            kind = ", a softmax" * output.softmax
            text = f"{output.value}, {self.matched}{kind}: error {output.error:.1e}"
            rows.append((f"output {output.name}", text))
        rows.append(("nodes", f"{self.compared} of {len(self.nodes)} have an equal value"))
        return rows

    def _verdict(self) -> str:
        color, word = ("green", "PASS") if self.passed else ("red", "FAIL")
        return (
            f"[bold {color}]{word}[/] {escape(self.file)} compared with {escape(self.model)}: "
            f"float32, tolerance {self.tolerance:.1e}"
        )
