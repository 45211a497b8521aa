"""Verification without processes of its own, for tests of what is done with its results."""

from __future__ import annotations

import importlib
from pathlib import Path

from zoo.verification.workers import Workers


class InThisProcess(Workers):
    """Does what workers do, but here: nothing is imported again, and faults can be seeded."""

    def capacity(self, needed):
        return 1

    def start(self, entry, environment=None):
        pass

    def work(self, folder, entry, requested, stage, environment=None):
        module = importlib.import_module(f"zoo.verification.stages.{stage}")
        try:
            return module.run(Path(folder), entry.name, requested)
        except Exception as error:  # as a worker reports it
            return f"{type(error).__name__}: {error}"
