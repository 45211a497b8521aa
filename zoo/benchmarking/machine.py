"""What the machine is, and what it did besides the benchmark."""

from __future__ import annotations

import os
import platform
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Share of a processor that others may use before a run is called noisy.
QUIET = 0.1
_CGROUP = Path("/sys/fs/cgroup")
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
#: What exists only on a machine with a GPU of NVIDIA's, and its driver.
_GPU = Path("/dev/nvidia0")
_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Identity:
    """A machine of a cluster.

    Attributes:
        id: The same for all processes of the machine, also in different containers.
        name: Its name in the network.
        machine: What :func:`describe` returned.
    """

    id: str
    name: str
    machine: dict[str, Any]


def identify() -> Identity:
    """Tell this machine from others."""
    name = socket.gethostname()
    return Identity(_text(_BOOT).strip() or name, name, describe())


def gpus() -> list[str]:
    """Return the models of the GPUs of NVIDIA's."""
    if not _GPU.exists():
        return []
    texts = [_text(path) for path in sorted(_GPUS.glob("*/information"))]
    models = [re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE) for text in texts]
    return [model[1] for model in models if model] or ["unknown"]


def describe() -> dict[str, Any]:
    """Return what is known of the machine; what the system does not say is None."""
    info = _text(Path("/proc/cpuinfo"))
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _text(Path("/proc/meminfo")), re.MULTILINE)
    limit = _text(_CGROUP / "cpu.max").split()
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": model[1] if model else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory": int(memory[1]) * 1024 if memory else None,
        "governor": _text(_FREQUENCY / "scaling_governor").strip() or None,
        "cgroup_cpus": int(limit[0]) / int(limit[1]) if limit and limit[0].isdecimal() else None,
        "cgroup_memory": _number(_text(_CGROUP / "memory.max")),
        "gpus": gpus(),
    }


def state() -> dict[str, Any]:
    """Return what changes: the load of the last minute, and the processors' frequencies in MHz."""
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    load = None
    with suppress(OSError):
        load = os.getloadavg()[0]
    return {"load": load, "mhz": [round(float(value)) for value in found] or None}


@dataclass(frozen=True)
class Usage:
    """The use of processors between two moments.

    Attributes:
        own: Processors that this process used, such as 1.9.
        others: Processors that all else used, time stolen by other machines included; None if the
            system does not say.
    """

    own: float
    others: float | None


class Meter:
    """Measures the use of processors from its creation on."""

    def __init__(self) -> None:
        self._busy, self._own, self._time = _busy(), time.process_time(), time.perf_counter()

    def read(self) -> Usage:
        """Return the use since the beginning."""
        elapsed = max(time.perf_counter() - self._time, 1e-9)
        own = (time.process_time() - self._own) / elapsed
        busy = _busy()
        if busy is None or self._busy is None or elapsed < 0.2:  # ticks of the system are coarse
            return Usage(own, None)
        return Usage(own, max((busy - self._busy) / elapsed - own, 0.0))


def _busy() -> float | None:
    """Seconds that all processors were busy: user, nice, system, interrupts and stolen."""
    fields = _text(Path("/proc/stat")).partition("\n")[0].split()[1:]
    if len(fields) < 8:
        return None
    user, nice, system, _, _, irq, soft, stolen = (int(field) for field in fields[:8])
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None
