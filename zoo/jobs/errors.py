"""What jobs raise besides their own errors."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor

from zoo.errors import ZooError


class JobDiedError(ZooError, BrokenExecutor):
    """The process of a job ended without an answer, for example because memory ran out."""


class JobError(ZooError, RuntimeError):
    """A job raised an exception that cannot be sent from one process to another."""
