"""Jobs for tests of executors: functions of a module, as other processes need them."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def squared(number):
    return number * number


def in_turn(job):
    """Wait for a file, if the job has one, and write another."""
    before, own = (name and Path(name) for name in job)
    while before and not before.exists():
        time.sleep(0.01)
    own.write_text("")
    return own.name


def at_the_same_time(folder):
    """Return the largest number of such jobs that ran while this one did."""
    own = Path(folder) / str(os.getpid())
    own.write_text("")
    seen = []
    for _ in range(20):
        seen.append(len(list(own.parent.iterdir())))
        time.sleep(0.01)
    own.unlink()
    return max(seen)


def process(_job):
    return os.getpid()


def variable(name):
    return os.environ.get(name)


def importing(name):
    """Return where a module comes from, and the working folder."""
    return importlib.import_module(name).__file__, os.getcwd()


def leaving(job):
    sys.exit(job)


def printing(job):
    """Write to both streams, also as a library in C does, and return something else."""
    print(job)
    print(job, file=sys.stderr)
    os.write(1, job.encode())
    return "answer"


def ending(job):
    """End as a framework does whose library has given up."""
    os.write(2, f"first\n{job}\n\n".encode())
    os._exit(3)


def failing(job):
    raise ValueError(f"not {job}")


class UnsendableError(Exception):
    def __init__(self, a, b):
        super().__init__(a)


def raising_unsendable(job):
    raise UnsendableError(job, job)


def counted(job):
    """Add a line to a file, and die by a signal the first times."""
    path, deaths = Path(job[0]), job[1]
    with path.open("a") as file:
        file.write("started\n")
    if path.read_text().count("\n") <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return job[2] ** 2


def lingering(path):
    """Start another process, write the IDs of both, and wait for long."""
    if not path:
        return
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    part = Path(f"{path}.part")
    part.write_text(f"{os.getpid()} {child.pid}")
    try:
        part.replace(path)  # from now on, whoever waits for the file may interrupt this
        time.sleep(300)
    finally:
        Path(f"{path}.cleaned").write_text("")


def timed(go, cell, folder, number, fails=0):
    """Measure a cell without its framework, once a file is there."""
    from zoo.benchmarking.results import Round

    while not Path(go).exists():
        time.sleep(0.01)
    if number == fails:
        raise ValueError(f"round {number}")
    base = 1 + 0.01 * (number % 3) + len(cell.mode)
    return Round(number, (base, 1.01 * base), facts={"worker": os.getppid()})
