"""What a switch has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from zoo.backend.description import Description
from zoo.comparing.setup import Case, Setup
from zoo.ops.kinds import Kind


class Switch(ABC):
    """A setting that a framework has a default for.

    Attributes:
        name: What a study calls it.
        title: What it is, for a table.
        kind: The values that a study may give it.
        said: What it is aligned to, for a table.
        own: What it is native to, for a table, if descriptions of backends have no value.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Kind[Any]]
    said: ClassVar[str] = "as the spec states"
    own: ClassVar[str] = "own"

    @abstractmethod
    def irrelevance(self, case: Case) -> str:
        """Return why it makes no difference to a network and a recipe; empty if it may."""

    @abstractmethod
    def aligned(self, case: Case) -> Any:
        """Return the value in all backends."""

    def native(self, case: Case, backend: Description) -> Any:
        """Return the value that a framework has by default."""
        return backend.defaults.get(self.name, self.aligned(case))

    @abstractmethod
    def apply(self, setup: Setup, value: Any, backend: str) -> Setup:
        """Return how a run computes with a value."""
