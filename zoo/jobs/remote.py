"""What a worker of Dask does with a job: it runs it in a process of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import BackendError
from zoo.jobs.process import Process
from zoo.jobs.versions import differences, versions

#: Seconds after which a process that waits for another job ends.
IDLE = 60.0

_idle: dict[tuple[tuple[str, str], ...], list[tuple[Process, threading.Timer]]] = {}
_lock = threading.Lock()


def describe(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of this machine, of what :func:`versions` named on another."""
    return versions(name for name in names if name not in ("Python", "zoo"))


def work(
    job: bytes, expected: Mapping[str, str], environment: Mapping[str, str], fresh: bool
) -> Any:
    """Run a job in a process of this machine.

    Args:
        job: What :func:`zoo.jobs.process.packed` returned.
        expected: The versions that this machine must have.
        environment: Environment variables of the process.
        fresh: Whether the process is a new one, and ends with the job.

    Raises:
        BackendError: This machine has other versions.
        JobDiedError: The process died.
    """
    if found := differences(expected, describe(list(expected))):
        raise BackendError(f"{socket.gethostname()} has {', '.join(found)}")
    key = tuple(sorted(environment.items()))
    process = (None if fresh else _taken(key)) or Process(environment)
    try:
        result = process.call(job)
    except BaseException:  # an interrupt, too, must not leave the process
        process.stop()
        raise
    if fresh:
        process.stop()
    else:
        _give_back(key, process)
    return result


def _taken(key: tuple[tuple[str, str], ...]) -> Process | None:
    with _lock:
        if not _idle.get(key):
            return None
        process, timer = _idle[key].pop()
    timer.cancel()
    return process


def _give_back(key: tuple[tuple[str, str], ...], process: Process) -> None:
    timer = threading.Timer(IDLE, _retire, [key, process])
    timer.daemon = True
    with _lock:
        _idle.setdefault(key, []).append((process, timer))
    timer.start()


def _retire(key: tuple[tuple[str, str], ...], process: Process) -> None:
    """End a process that nobody has taken meanwhile."""
    with _lock:
        waiting = [entry for entry in _idle[key] if entry[0] is process]
        _idle[key] = [entry for entry in _idle[key] if entry[0] is not process]
    for entry, _ in waiting:
        entry.stop()
