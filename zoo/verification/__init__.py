"""Verifies that the frameworks compute the same network.

Each backend runs in its own process, with the same weights, on the same photograph. Every node is
compared with a NumPy float64 reference, and with the other backends.

The modules, from low to high level: ``tolerances`` and ``comparison`` (how errors are measured and
judged), ``results`` (plain data), ``stages``, ``worker`` and ``workers`` (processes), ``case``,
``training`` and ``full`` (comparisons), ``rendering`` (output), ``report`` and ``verify``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.verification.report import Report as Report
    from zoo.verification.results import BackendResult as BackendResult

__all__ = ["BackendResult", "Report"]


def __getattr__(name: str) -> Any:  # workers import this package but use neither class
    if name == "Report":
        from zoo.verification.report import Report

        return Report
    if name == "BackendResult":
        from zoo.verification.results import BackendResult

        return BackendResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
