"""Runs jobs in this process; started by :mod:`zoo.jobs.process`.

    python -P -m zoo.jobs.worker

A job on standard input and its answer on standard output are pickles between this process and the
one that started it, each after its length in eight bytes. When standard input ends, so does this
process with all that it started, even in the middle of a job: that is how it notices that the other
process has ended, however that happened.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import struct
import sys
import threading
import traceback
from types import FrameType
from typing import IO, Any

from zoo.jobs.errors import JobError

LENGTH = struct.Struct(">Q")
GRACE = 5.0  # seconds that a job has to clean up after itself


def main() -> None:
    """Run jobs until standard input ends."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # keeps what a job prints apart from its answer
    signal.signal(signal.SIGTERM, _end)
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs, waiting), daemon=True).start()
    while (job := waiting.get()) is not None:
        answer = _answer(job)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def read(stream: IO[bytes]) -> bytes | None:
    """Read a message; None if the stream ends before or within it."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    size = LENGTH.unpack(length)[0]
    message = stream.read(size)
    return message if len(message) == size else None


def _read(stream: IO[bytes], waiting: queue.SimpleQueue[bytes | None]) -> None:
    """Pass jobs on, so that the end of the stream is noticed during a job."""
    while (job := read(stream)) is not None:
        waiting.put(job)
    waiting.put(None)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    _kill_all()


def _end(number: int, frame: FrameType | None) -> None:
    """End as after an exception, so that a job ends what it has started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _answer(job: bytes) -> bytes:
    try:
        function, arguments, keywords = pickle.loads(job)
        return pickle.dumps((True, function(*arguments, **keywords)))
    except Exception as error:  # a job may raise anything; its caller raises it again
        return _raised(error)


def _raised(error: Exception) -> bytes:
    error.add_note("In the process of the job:\n" + traceback.format_exc())
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)  # many exceptions can be written but not read
        return answer
    except Exception:  # pickle calls code of the exception's own
        kept: Any = JobError(f"{type(error).__name__}: {error}")
        return pickle.dumps((False, kept))


def _kill_all() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if sys.exc_info()[0] in (None, SystemExit):
            _kill_all()  # frameworks take long to end, and there is nothing left to do
