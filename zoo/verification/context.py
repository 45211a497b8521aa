"""What every part of a verification needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from zoo.backend import registry
from zoo.graphs.graph import Graph
from zoo.verification import memory
from zoo.verification.together import side_by_side
from zoo.verification.workers import Workers

Result = TypeVar("Result")
Progress = Callable[[str], None]

#: Started with this, a process of a job that contains float64 computes it; otherwise JAX would make
#: float32 of it.
FLOAT64 = {"JAX_ENABLE_X64": "1"}


@dataclass(frozen=True)
class Context:
    """What every part of a verification needs.

    Attributes:
        path: Its scratch folder.
        graph: The network, at the size that the part uses.
        requested: Backend -> what the caller called it.
        seed: Random seed for the weights.
        workers: The processes.
        progress: Called with what is done next, in words.
    """

    path: Path
    graph: Graph
    requested: Mapping[str, str]
    seed: int
    workers: Workers
    progress: Progress

    def each(
        self,
        task: Callable[[str], Result],
        what: str = "",
        graph: Graph | None = None,
        backends: list[str] | None = None,
    ) -> dict[str, Result]:
        """Call a function for each backend, as many at the same time as fit into memory.

        Args:
            task: Called with a backend's name.
            what: What it does, for a message of progress.
            graph: The network it runs; the context's own if not given.
            backends: For which; all if not given.

        Returns:
            Backend -> result, in order.
        """
        names = list(self.requested) if backends is None else backends
        count = len(self.requested)
        numbers = {name: number for number, name in enumerate(self.requested, 1)}

        def announce(backend: str) -> None:
            about = f": {what}" if what else ""
            title = registry.resolve(backend).title
            self.progress(f"Running {title} ({numbers[backend]} of {count}){about}")

        needed = memory.needed(graph or self.graph, 8)
        capacity = min(self.workers.capacity(needed), max(len(names), 1))
        return side_by_side(task, names, capacity, announce, self.workers.close)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the first processes, which import their frameworks meanwhile."""
        capacity = self.workers.capacity(memory.needed(self.graph, 8))
        for backend in list(self.requested)[:capacity]:
            self.workers.start(registry.resolve(backend), environment)
