"""Programs: files that hold a network and its weights, and that run without zoo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from zoo.backend.base import Array, Backend, Initial, Outputs
from zoo.errors import InputError
from zoo.graphs.graph import Graph

#: Runs a program on x, in the layout that its framework has, and returns its outputs by name.
Run = Callable[[Array], Outputs]


class Program(ABC):
    """A form of program: how a backend writes it, and how its own runtime reads it.

    In every form the size of the batch is free, and outputs have the graph's order and names. A
    program of one output may have no name for it.
    """

    #: Whether its outputs have an order, besides their names.
    ordered: ClassVar[bool] = True

    def set_opset(self, opset: int | None, source: Any) -> None:
        """Choose the version of ONNX's operations.

        Args:
            opset: The version; None for the default one.
            source: The model that is exported.

        Raises:
            InputError: Programs of this form have none.
        """
        if opset is not None:
            raise InputError("opset is the version of an ONNX file; for others, leave it out")

    def build(self, backend: Backend, graph: Graph, draw: Initial, dtype: str) -> Any:
        """Build the model to write."""
        return backend.build(graph, draw, dtype)

    @abstractmethod
    def write(self, model: Any, path: Path) -> None:
        """Write a model that the backend built, in evaluation mode.

        Args:
            model: The writer may change its mode.
            path: A file or folder that does not exist yet. Other files may be written beside it.
        """

    @abstractmethod
    def read(self, path: Path) -> Run:
        """Load a program in its own runtime."""
