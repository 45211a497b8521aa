"""How much memory is available, and how much a verification needs."""

from __future__ import annotations

import math
import os
from pathlib import Path

from zoo.errors import InputError
from zoo.graphs.graph import Graph

#: A container's limit and what it has used, for the second and first version of cgroups.
_LIMITS = {
    "/sys/fs/cgroup/memory.max": "memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "memory.usage_in_bytes",
}


class NotEnoughMemoryError(InputError):
    """A verification needs more memory than is available, at any input size."""


def available() -> int:
    """Return how many bytes are available, on the machine or in the container."""
    free = _meminfo()
    for limit, used in _LIMITS.items():
        try:
            taken = int(Path(limit).with_name(used).read_text()) - _cached(Path(limit).parent)
            free = min(free, int(Path(limit).read_text()) - taken)
        except (OSError, ValueError):  # there is no limit, or it is "max"
            continue
    return max(free, 0)


def needed(graph: Graph, itemsize: int) -> int:
    """Estimate how many bytes a verification of a network needs, in a worker or the parent.

    The weights are held up to four times: in the model, as drawn, as given and as laid out for the
    framework. The value of every node is held twice in float64: the framework's and NumPy's. The
    windows of the largest convolution are held once.

    Args:
        graph: The network.
        itemsize: Bytes of a weight.
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
    """Bytes of cached files, which the system frees when memory is needed."""
    lines = (group / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def _meminfo() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
