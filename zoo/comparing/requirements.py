"""What studies need besides the frameworks."""

from __future__ import annotations

from importlib.util import find_spec

from zoo.errors import BackendError


def check() -> None:
    """Check that a study can be evaluated; called before it rather than after it.

    Raises:
        BackendError: SciPy is not installed.

    Example:
        >>> check()
    """
    if find_spec("scipy") is None:
        raise BackendError("studies need SciPy: python -m pip install 'polyzoo[compare]'")
