"""The jobs that a worker can run: one module per stage, with ``run(folder, name, requested)``.

``folder`` contains the job and receives the resulting arrays; ``name`` is the backend's name, used
in the names of its files; ``requested`` is the name by which it was requested (``tensorflow`` is
more specific than ``keras``). Each ``run`` returns plain data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.graphs.graph import Graph
from zoo.weights import initial


def write_job(folder: Path, **values: Any) -> None:
    """Write a job's ``job.json``, with graphs as plain data.

    Args:
        folder: The job's folder, which exists.
        **values: What the stage needs.
    """
    job = {k: v.to_dict() if isinstance(v, Graph) else v for k, v in values.items()}
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")


def read_job(folder: Path) -> dict[str, Any]:
    """Read a job's ``job.json``, and restore its graphs."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return {
        key: Graph.from_dict(value)
        if isinstance(value, Mapping) and "zoo_graph" in value
        else value
        for key, value in job.items()
    }


def build(backend: Any, graph: Graph, dtype: str, seed: int) -> Any:
    """Build a model with initial weights, as ``zoo.build`` does."""
    return backend.build(graph, initial.drawing(graph, seed, dtype=dtype), dtype, seed % 2**31)
