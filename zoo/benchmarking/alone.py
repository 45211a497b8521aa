"""Lets only one benchmark run on a machine."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.errors import InputError

#: An address in the system's own table: all users share it, and it is free when its process ends.
_ADDRESS = "\0zoo.benchmarking"


@contextmanager
def alone() -> Iterator[None]:
    """Run a block while no other benchmark runs on this machine.

    Raises:
        InputError: Another one runs.
    """
    if sys.platform != "linux":  # elsewhere there are no such addresses
        yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        try:
            lock.bind(_ADDRESS)
        except OSError:
            raise InputError(
                "another benchmark is running on this machine, and both would have wrong times; "
                "wait until it has ended"
            ) from None
        yield
