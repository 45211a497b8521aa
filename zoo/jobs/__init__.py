"""Independent jobs: in processes of this machine, or wherever an executor runs them.

An executor is anything that :class:`concurrent.futures.Executor` describes. Two are made here:
:func:`local` starts processes on this machine, and :func:`at` hands jobs to a scheduler of Dask,
which brings clusters of its own. :func:`run` gives jobs to an executor and yields what comes back.
:class:`zoo.jobs.process.Process` is one process, for callers that need no executor.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from zoo.jobs.cluster import at as at
    from zoo.jobs.errors import JobDiedError as JobDiedError
    from zoo.jobs.processes import local as local
    from zoo.jobs.running import run as run

__all__ = ["JobDiedError", "at", "local", "run"]

_HOMES = {"JobDiedError": "errors", "at": "cluster", "local": "processes", "run": "running"}


def __getattr__(name: str) -> Any:  # a process of a job imports this package but uses none of them
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
