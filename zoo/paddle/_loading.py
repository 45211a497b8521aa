"""Imports paddle so that it can share a process with the other frameworks.

Paddle's library and TensorFlow's export symbols of the same names. Loaded the ordinary way after
TensorFlow, Paddle calls TensorFlow's and dies of a segmentation fault; bound to its own symbols
first, it does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_symbols_first() -> Iterator[None]:
    """Let libraries loaded inside prefer their own symbols, where the platform can (Linux)."""
    if not (hasattr(sys, "setdlopenflags") and hasattr(os, "RTLD_DEEPBIND")):
        yield
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)


if "paddle" not in sys.modules:
    with own_symbols_first():
        import paddle  # noqa: F401  (loaded for all who import it later)
