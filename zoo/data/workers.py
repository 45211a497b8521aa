"""Prepares batches ahead of time, in worker processes.

A process is this module, started anew: one that is forked would inherit the threads and locks of a
framework, and one that ``multiprocessing`` spawns would run the caller's script again. It gets what
makes the batches once, and then numbers of batches. It writes them to memory that both processes
map.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import IO, Any, Protocol

import numpy as np

from zoo.errors import InputError

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: How many batches a process may be ahead.
_AHEAD = 2


class Source(Protocol):
    """What makes batches: it can be pickled, and :class:`zoo.data.stream.Stream` is one."""

    def shape(self, number: int) -> tuple[int, ...]:
        """Return the shape of a batch."""

    def fill(self, number: int, out: Array) -> Any:
        """Write a batch, float32, and return what else there is to say of it.

        Raises:
            InputError: It cannot be made.
        """


def filled(source: Source, start: int, stop: int, workers: int) -> Iterator[tuple[Array, Any]]:
    """Make batches ahead of time.

    Args:
        source: What makes them.
        start: The number of the first batch, which no other is larger than.
        stop: The number after that of the last.
        workers: How many processes make them. They end with the iterator.

    Yields:
        Arrays, and what :meth:`Source.fill` returned, in order.

    Raises:
        InputError: A batch cannot be made, or a process ended.
    """
    count = min(workers, stop - start)
    processes: list[_Process] = []
    try:
        for _ in range(count):
            processes.append(_Process(source, source.shape(start)))
        for number in range(start, min(start + count * _AHEAD, stop)):
            processes[(number - start) % count].request(number)
        for number in range(start, stop):
            process = processes[(number - start) % count]
            result = process.receive(source.shape(number))
            if (ahead := number + count * _AHEAD) < stop:
                process.request(ahead)
            yield result
    finally:
        for process in processes:
            process.close()


class _Process:
    """A process that makes batches, and the memory that it writes them to."""

    def __init__(self, source: Source, largest: tuple[int, ...]) -> None:
        content, self._received = _pickled((source, largest)), 0
        self._bytes = 4 * int(np.prod(largest))
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryFile(dir=folder) as file:  # without a name, so that it never stays
            file.truncate(self._bytes * _AHEAD)
            self._memory = mmap.mmap(file.fileno(), self._bytes * _AHEAD)
            os.set_inheritable(file.fileno(), True)
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(file.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[file.fileno()],
                start_new_session=True,  # what a process group is sent is for the first process
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._send(content)

    def request(self, number: int) -> None:
        """Ask for a batch, after those asked for before."""
        self._send(_pickled(number))

    def receive(self, shape: tuple[int, ...]) -> tuple[Array, Any]:
        """Return the batch that was asked for first."""
        try:
            answer = pickle.load(self._pipe(self._process.stdout))
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._ended() from None
        if isinstance(answer, str):
            raise InputError(answer)
        slot, self._received = self._received % _AHEAD, self._received + 1
        x = np.ndarray(shape, np.float32, self._memory, slot * self._bytes)
        return x.copy(), answer  # a framework may keep the array

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                self._pipe(stream).close()
        self._process.kill()
        self._process.wait()
        with suppress(BufferError):  # freed with the array that is still there
            self._memory.close()

    def _send(self, content: bytes) -> None:
        pipe = self._pipe(self._process.stdin)
        try:
            pipe.write(content)
            pipe.flush()
        except OSError:
            raise self._ended() from None

    def _ended(self) -> InputError:
        status = self._process.wait()
        how = f"ended with status {status}"
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
            how += ", perhaps because memory ran out" * (status == -signal.SIGKILL)
        return InputError(f"data: a process that reads images {how}; or use workers=0")

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream


def _pickled(message: Any) -> bytes:
    try:
        return pickle.dumps(message)
    except Exception as error:  # whatever an object of the caller's raises
        raise InputError(
            f"data: the images cannot be sent to a worker process ({error}); use workers=0"
        ) from None


def _work(file: int) -> None:
    """Make the batches whose numbers come in, until there are no more."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the process that asks decides when to end
        signal.signal(number, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not become an answer
    source, largest = pickle.load(requests)
    with closing(mmap.mmap(file, 0)) as memory:
        slots = np.ndarray((_AHEAD, *largest), np.float32, memory)
        made = 0
        with suppress(EOFError):
            while True:
                number = pickle.load(requests)
                out = slots[made % _AHEAD][: source.shape(number)[0]]
                try:
                    answer: Any = source.fill(number, out)
                    made += 1
                except InputError as error:
                    answer = str(error)
                pickle.dump(answer, answers)
                answers.flush()
        del slots, out


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        _work(int(sys.argv[1]))
