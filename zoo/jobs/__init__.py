"""Independent jobs: in processes of this machine, or wherever an executor runs them.

An executor is anything that :class:`concurrent.futures.Executor` describes. Two are made here:
:func:`local` starts processes on this machine, and :func:`at` hands jobs to a scheduler of Dask,
which brings clusters of its own. :func:`run` gives jobs to an executor and yields what comes back.
"""

from __future__ import annotations

from zoo.jobs.cluster import at as at
from zoo.jobs.errors import JobDiedError as JobDiedError
from zoo.jobs.processes import local as local
from zoo.jobs.running import run as run

__all__ = ["JobDiedError", "at", "local", "run"]
