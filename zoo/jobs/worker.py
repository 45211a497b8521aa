"""Runs jobs in this process, which :class:`zoo.jobs.process.Process` has started.

A job on standard input and its answer on standard output are pickles between this process and the
one that started it, each after its length in eight bytes. When standard input ends, so does this
process with all that it started, even in the middle of a job: that is how it notices that the other
process has ended, however that happened.

Little is imported here, because a job may measure imports, or begin with one that takes long.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import struct
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import IO, Any

LENGTH = struct.Struct(">Q")
GRACE = 5.0  # seconds that a job has to clean up after itself


def main() -> None:
    """Run jobs until standard input ends, or SIGTERM arrives."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # keeps what a job prints apart from its answer
    signal.signal(signal.SIGTERM, _end)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs, waiting), daemon=True).start()
    try:
        while True:
            answer = _answer(waiting.get())
            answers.write(LENGTH.pack(len(answer)) + answer)
            answers.flush()
    except _EndedError:
        _kill_all()  # frameworks take long to end, and there is nothing left to do


def read(stream: IO[bytes]) -> bytes | None:
    """Read a message; None if the stream ends before or within it."""
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    size = LENGTH.unpack(length)[0]
    message = stream.read(size)
    return message if len(message) == size else None


def plainly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; a job for processes in which a framework is imported.

    Returns:
        What the function returned.

    Raises:
        JobError: It raised anything. The message has the type of that and its first line. The error
            itself may be of a framework, and to read it would import the framework.
    """
    try:
        return function(*arguments)
    except Exception as error:  # a framework may raise anything
        raise _described(error) from error


class _EndedError(BaseException):
    """This process is to end; a job that it interrupts cleans up after itself."""


def _read(stream: IO[bytes], waiting: queue.SimpleQueue[bytes]) -> None:
    """Pass jobs on, so that the end of the stream is noticed during a job."""
    while (job := read(stream)) is not None:
        waiting.put(job)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    _kill_all()


def _end(number: int, frame: FrameType | None) -> None:
    """End as after an exception, so that a job ends what it has started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _EndedError


def _answer(job: bytes) -> bytes:
    try:
        function, arguments, keywords = pickle.loads(job)
        return pickle.dumps((True, function(*arguments, **keywords)))
    except Exception as error:  # a job may raise anything; its caller raises it again
        return _raised(error)
    except SystemExit as error:  # which would end the process of its caller, too
        return _raised(_described(error))


def _raised(error: Exception) -> bytes:
    error.add_note("In the process of the job:\n" + traceback.format_exc())
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)  # many exceptions can be written but not read
        return answer
    except Exception:  # pickle calls code of the exception's own
        return pickle.dumps((False, _described(error)))


def _described(error: BaseException) -> Exception:
    from zoo.jobs.errors import JobError

    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return JobError(f"{type(error).__name__}: {lines[0][:1000]}")


def _kill_all() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
