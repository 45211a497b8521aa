"""How much memory is available, and how much a verification needs."""

from __future__ import annotations

import math
import os
from pathlib import Path

from zoo.errors import InputError
from zoo.graphs.graph import Graph

#: A container's memory limit -> its usage, for versions 2 and 1 of cgroups.
_LIMITS = {
    "/sys/fs/cgroup/memory.max": "memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "memory.usage_in_bytes",
}


class NotEnoughMemoryError(InputError):
    """A verification needs more memory than is available, at any input size."""


def available() -> int:
    """Return how many bytes are available, on the machine or in the container."""
    free = _meminfo()
    for limit, usage in _LIMITS.items():
        try:
            used = int(Path(limit).with_name(usage).read_text()) - _cached(Path(limit).parent)
            free = min(free, int(Path(limit).read_text()) - used)
        except (OSError, ValueError):  # there is no limit, or it is "max"
            continue
    return max(free, 0)


def needed(graph: Graph, itemsize: int) -> int:
    """Estimate how many bytes the verification of a network needs, in a worker or the parent.

    There are up to four copies of the weights: in the model, as drawn, as received, and in the
    framework's layout. There are two float64 copies of every node's value: the framework's and
    NumPy's. The unrolled windows of the largest convolution exist once.

    Args:
        graph: The network.
        itemsize: Bytes per weight.
    """
    weights = sum(math.prod(p.shape) for p in graph.parameters)
    values = sum(math.prod(node.shape) for node in graph.nodes)
    windows = max((_windows(node.attributes, node.shape) for node in graph.nodes), default=0)
    return 4 * itemsize * weights + 8 * (2 * values + windows)


def _windows(attributes: object, shape: tuple[int, ...]) -> int:
    if not isinstance(attributes, dict) or "kernel_size" not in attributes or len(shape) != 3:
        return 0
    channels = attributes.get("in_channels", shape[0])
    return int(channels * math.prod(attributes["kernel_size"]) * shape[1] * shape[2])


def _cached(group: Path) -> int:
    """Return the bytes of cached files, which the system frees when memory is needed."""
    lines = (group / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def _meminfo() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
