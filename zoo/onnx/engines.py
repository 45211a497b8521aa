"""Imports the engines that run ONNX files, without what they would report to their makers.

By default they send reports and ask nobody. Whoever imports an engine before zoo does has it as it
is.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

_TELEMETRY = "openvino_telemetry"


def onnxruntime() -> ModuleType:
    """Import ONNX Runtime; it reports nothing, unless ORT_DISABLE_TELEMETRY is set to 0.

    Raises:
        ImportError: It is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, by its first session
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


def openvino() -> ModuleType:
    """Import OpenVINO; it reports nothing.

    Each report is sent by a fork of this process, which may have threads of a framework that do
    not survive one. Without the package that sends them, OpenVINO does everything else.

    Raises:
        ImportError: It is not installed.
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
