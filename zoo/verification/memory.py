"""How much memory there is, and how much a network needs."""

from __future__ import annotations

import math
import os
from pathlib import Path

from zoo.errors import InputError
from zoo.graphs.graph import Graph

#: what a container may take, and what it has taken, by the second and first version of cgroups
_LIMITS = {
    "/sys/fs/cgroup/memory.max": "memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "memory.usage_in_bytes",
}


class NotEnoughMemoryError(InputError):
    """A proof takes more memory than there is, at any input size."""


def available() -> int:
    """Return how many bytes can be had: of the machine, or of the container this runs in."""
    free = _meminfo()
    for limit, used in _LIMITS.items():
        try:
            taken = int(Path(limit).with_name(used).read_text()) - _cached(Path(limit).parent)
            free = min(free, int(Path(limit).read_text()) - taken)
        except (OSError, ValueError):  # there is none, or it is "max"
            continue
    return max(free, 0)


def needed(graph: Graph, itemsize: int) -> int:
    """Estimate how many bytes a proof of a network takes, in the worker or the parent.

    The weights are held up to four times, as the model, as drawn, as given and as laid out for the
    framework; the value of every node twice in float64, as the framework's and as NumPy's; and the
    largest convolution's windows once.

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
    """Pages of files, which the system lets go when memory is asked for."""
    lines = (group / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


def _meminfo() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
