"""Loads a backend for tests."""

import os
import warnings

import pytest

from zoo.backend import registry


def load(name: str):
    """The backend's module; a missing framework is a skip on a laptop and a failure in CI.

    What a framework warns of while it is imported is not zoo's to answer for.
    """
    if not registry.is_installed(registry.resolve(name)):
        message = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message, allow_module_level=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return registry.load(name)
