"""Makes batches ahead of time, in processes of their own.

A process is this module, started anew: one that is forked would inherit the threads and locks of a
framework, and one that ``multiprocessing`` spawns would run the caller's script again. It gets the
stream once and then numbers of batches, and writes the images to memory that both processes map.
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
from typing import IO, Any

import numpy as np

from zoo.data.stream import Batch, Stream
from zoo.errors import InputError

#: How many batches a process may be ahead.
_AHEAD = 2


def batches(stream: Stream, start: int, stop: int, workers: int = 0) -> Iterator[Batch]:
    """Make batches, ahead of time where there are workers.

    Args:
        stream: The stream.
        start: The number of the first batch.
        stop: The number after that of the last.
        workers: How many processes make them; with 0, this process does. They end with the
            iterator.

    Yields:
        The batches in order, the same for any number of workers.

    Raises:
        InputError: An image cannot be read, or a process ended.

    Example:
        >>> from zoo.data.datasets import dataset
        >>> from zoo.data.images import USUAL, Transform
        >>> stream = Stream(dataset("digits").train, Transform((8, 8), 1, USUAL), 64)
        >>> ahead = [batch.digest for batch in batches(stream, 0, 3, workers=2)]
        >>> ahead == [batch.digest for batch in stream.batches(0, 3)]
        True
    """
    count = min(workers, stop - start)
    if count < 1:
        yield from stream.batches(start, stop)
        return
    processes: list[_Process] = []
    try:
        for _ in range(count):
            processes.append(_Process(stream))
        for number in range(start, min(start + count * _AHEAD, stop)):
            processes[(number - start) % count].request(number)
        for number in range(start, stop):
            process = processes[(number - start) % count]
            batch = process.receive(number)
            if (ahead := number + count * _AHEAD) < stop:
                process.request(ahead)
            yield batch
    finally:
        for process in processes:
            process.close()


class _Process:
    """A process that makes batches, and the memory that it writes them to."""

    def __init__(self, stream: Stream) -> None:
        content, self._received = _pickled(stream), 0
        self._shape = (stream.batch_size, *stream.transform.shape)
        self._bytes = 4 * int(np.prod(self._shape))
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
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._send(content)

    def request(self, number: int) -> None:
        """Ask for a batch, after those asked for before."""
        self._send(_pickled(number))

    def receive(self, number: int) -> Batch:
        """Return the batch that was asked for first."""
        try:
            answer = pickle.load(self._pipe(self._process.stdout))
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._ended() from None
        if isinstance(answer, str):
            raise InputError(answer)
        labels, damaged = answer
        slot, self._received = self._received % _AHEAD, self._received + 1
        x = np.ndarray(
            (len(labels), *self._shape[1:]), np.float32, self._memory, slot * self._bytes
        )
        return Batch(x.copy(), labels, damaged)  # a framework may keep the array

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
        how = (
            f"was killed by signal {-status}, perhaps because memory ran out"
            if status < 0
            else (f"ended with status {status}")
        )
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
            f"data: the images cannot be sent to a process of their own ({error}); use workers=0"
        ) from None


def _work(file: int) -> None:
    """Make the batches whose numbers come in, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides when to end
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not become an answer
    stream = pickle.load(requests)
    shape = (stream.batch_size, *stream.transform.shape)
    with closing(mmap.mmap(file, 0)) as memory:
        slots = np.ndarray((_AHEAD, *shape), np.float32, memory)
        made = 0
        with suppress(EOFError):
            while True:
                number = pickle.load(requests)
                out = slots[made % _AHEAD][: len(stream.indices(number))]
                try:
                    answer: Any = stream.fill(number, out)
                    made += 1
                except InputError as error:
                    answer = str(error)
                pickle.dump(answer, answers)
                answers.flush()
        del slots, out


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        _work(int(sys.argv[1]))
