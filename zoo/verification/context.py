"""The data and processes that all parts of a verification share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from zoo.backend import registry
from zoo.graphs.graph import Graph
from zoo.verification import memory
from zoo.verification.parallel import side_by_side
from zoo.verification.workers import Workers

Result = TypeVar("Result")
Progress = Callable[[str], None]

#: Environment of processes that compute in float64; without it JAX would use float32.
FLOAT64 = {"JAX_ENABLE_X64": "1"}


@dataclass(frozen=True)
class Context:
    """The data and processes that all parts of a verification share.

    Attributes:
        path: Scratch folder.
        graph: The network, at the input size to use.
        requested: Backend -> the name by which it was requested.
        seed: Random seed for the weights.
        workers: The processes.
        progress: Called with a message before each part of the work.
    """

    path: Path
    graph: Graph
    requested: Mapping[str, str]
    seed: int
    workers: Workers
    progress: Progress

    def for_each_backend(
        self,
        task: Callable[[str], Result],
        description: str = "",
        graph: Graph | None = None,
        backends: list[str] | None = None,
    ) -> dict[str, Result]:
        """Call a function for each backend, in parallel as far as memory allows.

        Args:
            task: Called with a backend's name.
            description: What the task does, for progress messages.
            graph: The network it runs; the context's own if not given.
            backends: Which backends; all if not given.

        Returns:
            Backend -> result, in order.
        """
        names = list(self.requested) if backends is None else backends
        count = len(self.requested)
        numbers = {name: number for number, name in enumerate(self.requested, 1)}

        def announce(backend: str) -> None:
            suffix = f": {description}" if description else ""
            title = registry.resolve(backend).title
            self.progress(f"Running {title} ({numbers[backend]} of {count}){suffix}")

        needed = memory.needed(graph or self.graph, 8)
        capacity = min(self.workers.capacity(needed), max(len(names), 1))
        return side_by_side(task, names, capacity, announce, self.workers.close)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the first processes, so that they can import their frameworks in the background."""
        capacity = self.workers.capacity(memory.needed(self.graph, 8))
        for backend in list(self.requested)[:capacity]:
            self.workers.start(registry.resolve(backend), environment)
