"""What the process of a backend does; called by :mod:`zoo.verification.workers`.

In a separate process, a crash becomes a row of the report, and global settings that a library must
not change, such as JAX's x64 flag, can be set safely.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any


def preload(backend: str) -> None:
    """Import the framework before anything else, be it while the first job is being prepared."""
    from zoo.backend import registry

    with suppress(Exception):  # the first job will raise and report it
        registry.load(backend)


def run(stage: str, folder: Path, backend: str, requested: str) -> dict[str, Any]:
    """Do the job of a folder.

    Args:
        stage: The name of a module of :mod:`zoo.verification.stages`.
        folder: See there, as for the rest.
        backend: The backend.
        requested: The name by which it was requested.
    """
    preload(backend)
    module: Any = importlib.import_module(f"zoo.verification.stages.{stage}")
    result: dict[str, Any] = module.run(folder, backend, requested)
    return result
