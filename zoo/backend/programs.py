"""Programs: files that hold a network and its weights, and that run without zoo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from zoo.backend.base import Array, Outputs

#: Runs a program on x, in the layout that its framework has, and returns its outputs by name.
Run = Callable[[Array], Outputs]


class Program(ABC):
    """A form of program: how a backend writes it, and how its own runtime reads it.

    In every form the size of the batch is free, and outputs have the graph's order and names. A
    program of one output may have no name for it.
    """

    #: Whether its outputs have an order, besides their names.
    ordered: ClassVar[bool] = True

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
