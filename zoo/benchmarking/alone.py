"""Lets only one benchmark run on a machine."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.errors import InputError

#: An address in the system's own table: all users share it, and it is free when its process ends.
_ADDRESS = "\0zoo.benchmarking"
_PAUSE = 0.1  # seconds between two tries


@contextmanager
def alone(patience: float = 0.0) -> Iterator[None]:
    """Run a block while no other benchmark runs on this machine.

    Args:
        patience: Seconds to wait for another one to end.

    Raises:
        InputError: Another one runs.
    """
    if sys.platform != "linux":  # elsewhere there are no such addresses
        yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        _bind(lock, time.monotonic() + patience)
        yield


def _bind(lock: socket.socket, deadline: float) -> None:
    while True:
        try:
            return lock.bind(_ADDRESS)
        except OSError:
            if time.monotonic() >= deadline:
                raise InputError(
                    "another benchmark is running on this machine, and both would have wrong "
                    "times; wait until it has ended"
                ) from None
        time.sleep(_PAUSE)
