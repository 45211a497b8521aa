"""Other processes, as the system knows them."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from limits import HANG


def wait_for(condition):
    """Also of the end of a process that was killed: the system takes its time."""
    end = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[1][0] != "Z"
    return False


def children(pid):
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for file in listed for child in file.read_text().split()]
