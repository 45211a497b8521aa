"""The devices that train a model together, and the processes that drive them.

A framework either drives several devices from one process, or has a process for each device. Its
own engine connects them. What zoo needs to know of that is little: which part of each batch is this
process's, and sums over the processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np

from zoo.errors import BackendError, TrainingError

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True)
class Group:
    """All devices of a run; the base class is one device in one process.

    Attributes:
        rank: The number of this process, from 0. Process 0 writes files and reports.
        size: The number of processes.
        devices: The number of devices of all processes together.
        even: Whether the framework needs the same number of examples on each device.
    """

    rank: int = 0
    size: int = 1
    devices: int = 1
    even: bool = False

    def sum(self, values: Array) -> Array:
        """Return the sum of the processes' arrays, which is the same in each of them.

        Args:
            values: float64, of the same shape in each process.

        Raises:
            TrainingError: Another process has ended.
        """
        return values

    def close(self) -> None:
        """Leave the group at the end of a run."""


ALONE = Group()

#: What a process says that has lost another one.
LOST = "another process of the run has ended; the run can be resumed from its last checkpoint"


class Processes(Protocol):
    """Processes that a framework's launcher has started."""

    #: In the order of their ranks; each is a ``multiprocessing.Process``.
    processes: Sequence[Any]

    def join(self, timeout: float | None = None) -> bool:
        """Wait, and tell whether all have ended.

        If one of them fails, the others are ended, and an exception of the framework is raised.
        """


#: What a launcher calls in each process, with its own arguments.
Work = Callable[..., None]


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether ``torchrun`` or another launcher with its variables has started this process.

    Example:
        >>> launched({"RANK": "1", "WORLD_SIZE": "2"})
        True
    """
    return "RANK" in environment and "WORLD_SIZE" in environment


def check_size(title: str, asked: int | None, there: int) -> None:
    """Check that a launcher has started as many devices as were asked for, if a number was.

    Raises:
        BackendError: It has not.
    """
    if asked not in (None, there):
        raise BackendError(
            f"{title} was started with {there} devices in all, and {asked} are asked for; leave "
            "the number out"
        )


def refuse(title: str, devices: int, launcher: str) -> NoReturn:
    """Report that devices have a process each, which a caller's process cannot become.

    Raises:
        BackendError: Says how to start them.
    """
    raise BackendError(
        f"{title} trains on several devices in a process for each, so start the script with "
        f"'{launcher.format(devices)}' and leave devices out, or use zoo train --devices {devices}"
    )


@contextmanager
def connected(words: Iterable[str]) -> Iterator[None]:
    """Report that another process is lost.

    Args:
        words: What is in the messages of a framework's errors that mean that.

    Raises:
        TrainingError: It is.
    """
    try:
        yield
    except (RuntimeError, OSError, ValueError) as error:
        if not any(word in str(error) for word in words):
            raise
        raise TrainingError(LOST) from None
