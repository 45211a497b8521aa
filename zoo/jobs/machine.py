"""What this machine has: processors and memory that are free for jobs."""

from __future__ import annotations

import os
from pathlib import Path

#: A container's memory limit -> its usage, for versions 2 and 1 of cgroups.
_LIMITS = {
    "/sys/fs/cgroup/memory.max": "memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "memory.usage_in_bytes",
}


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


def resident(process: int) -> int:
    """Return how many bytes of a process are in memory; 0 if the system does not say."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:  # not Linux, or it has ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


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
