"""Studies of a small network, asked for without a framework."""

import pytest

from zoo.backend import registry
from zoo.comparing import study as studies

SMALL = {"models": "lenet5", "data": "digits", "seeds": 2, "epochs": 1, "lr": 0.1}
BACKENDS = {name: registry.resolve(name) for name in ("torch", "paddle", "keras", "flax")}


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """All frameworks count as installed, because none is imported here."""
    monkeypatch.setattr(registry, "is_installed", lambda entry: True)


def study(**fields):
    return studies.of({**SMALL, "backends": list(BACKENDS), **fields})
