"""Kills writers of a file at every line of zoo's code that they run, and at many file sizes."""

import itertools
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy  # noqa: F401  (before the processes that need it are forked)

import zoo
from zoo import files
from zoo.weights.reading import zoo_file

spec, path = sys.argv[1:]
graph = zoo.graph(spec)
OLD = 11  # the exit status of a process that found the old file, whose values are 1
TRACED = {files.__file__, zoo_file.__file__}


def write(value):
    arrays = {p.name: np.full(p.shape, value, np.float32) for p in graph.parameters}
    zoo_file.write(path, graph, arrays)


def in_process(function, *arguments):
    """Run in a process of its own; return its exit status, or minus the signal that ended it."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function(*arguments)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at_line(number):
    """Write the new file, and be killed before a line of zoo's is run."""
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    write(2)


def killed_at_size(size):
    """Write the new file, and be killed when a file grows beyond a size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write(2)


def content():
    """Which file is there; parts of two, or a damaged one, are an error."""
    checkpoint = zoo_file.read(Path(path))
    with checkpoint.verified():
        values = {float(v) for s in checkpoint.arrays.values() for v in s.read().ravel()}
    (value,) = values
    os._exit(OLD - 1 + int(value))


def instants(kill, numbers):
    """Kill a writer at each instant until one is not killed; yield what is there after each."""
    there = None
    for number in numbers:
        if there != OLD:
            assert in_process(write, 1) == 0
        status = in_process(kill, number)
        there = in_process(content)
        # What a writer leaves is removed by the next one.
        assert len(os.listdir(Path(path).parent)) <= 2
        yield status, there
        if status == 0:
            assert len(os.listdir(Path(path).parent)) == 1
            return


for status, there in instants(killed_at_line, itertools.count(1)):
    print("line", status, there)
size = os.path.getsize(path)
for status, there in instants(killed_at_size, [*range(0, size, size // 12), size]):
    print("size", status, there)
