"""Imports paddle so that it can share a process with the other frameworks.

The libraries of Paddle and TensorFlow export symbols of the same names. If Paddle is loaded the
ordinary way after TensorFlow, it calls TensorFlow's functions and ends in a segmentation fault. It
does not if it is bound to its own symbols first.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_symbols_first() -> Iterator[None]:
    """Make libraries loaded inside prefer their own symbols, if the platform can (Linux)."""
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
    with own_symbols_first(), warnings.catch_warnings():
        # It matters only to those who compile operators of their own.
        warnings.filterwarnings("ignore", "No ccache found")
        import paddle  # noqa: F401  (loaded for every later import)
