"""Imports OpenVINO without its telemetry."""

from __future__ import annotations

import sys
from types import ModuleType

_TELEMETRY = "openvino_telemetry"


def openvino() -> ModuleType:
    """Import OpenVINO; what it would report to its makers stays here.

    Each report is sent by a fork of this process, which may have threads of a framework that do
    not survive one, and by default nobody is asked. Without the package that sends them, OpenVINO
    does everything else.
    """
    if "openvino" in sys.modules or _TELEMETRY in sys.modules:
        import openvino
    else:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # "there is no such package"
        try:
            import openvino
        finally:
            del sys.modules[_TELEMETRY]
    module: ModuleType = openvino
    return module
