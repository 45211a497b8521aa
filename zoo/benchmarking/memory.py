"""The memory of this process, and the energy of the machine, as the operating system tells them."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RAPL = Path("/sys/class/powercap")
_SIZE = re.compile(r"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)


def resident() -> int | None:
    """Return how many bytes of this process are in memory now; None if the system does not say."""
    return _field("VmRSS")


def peak() -> int | None:
    """Return the most bytes since :func:`reset`; None if the system does not say."""
    return _field("VmHWM")


def reset() -> bool:
    """Let the peak begin anew, and tell whether the system did that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def proportional() -> int | None:
    """Return the bytes of this process, with its share of what it shares with others."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return None


def energy() -> float | None:
    """Return the joules that the processors have used since some time; None if not readable.

    It is all that the machine uses, whoever it is for.
    """
    total = None
    for domain in _RAPL.glob("intel-rapl:*"):
        if domain.name.count(":") == 1:  # a whole processor, not a part of one
            with suppress(OSError, ValueError):
                total = (total or 0.0) + int((domain / "energy_uj").read_text()) / 1e6
    return total


def energy_of_gpu() -> float | None:
    """Return the joules that the first GPU has used since some time; None if not readable."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
    except Exception:  # there is none, or no library, and each raises something else
        return None


def _field(name: str) -> int | None:
    with suppress(OSError):
        return next(
            (int(size) * 1024 for key, size in _SIZE.findall(_STATUS.read_text()) if key == name),
            None,
        )
    return None
