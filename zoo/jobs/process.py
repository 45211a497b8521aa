"""One process for jobs: starts it, sends it one after another, and ends it with all it started."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from zoo.errors import InputError
from zoo.jobs.errors import JobDiedError
from zoo.jobs.worker import GRACE, LENGTH, read


class Process:
    """A process with a session of its own: Ctrl-C reaches only the one that started it.

    Args:
        environment: Variables in addition to those of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        # The process must import the same zoo as this one, even from a checkout.
        root = str(Path(__file__).resolve().parents[2])
        paths = dict.fromkeys(os.path.abspath(path) for path in [root, *sys.path] if path)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        self._stopping = threading.Lock()
        # -P: files in the working directory must not shadow modules of a framework.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zoo.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(environment or {})},
            start_new_session=True,
        )

    @property
    def number(self) -> int:
        """The process ID."""
        return self._process.pid

    def call(self, job: bytes) -> Any:
        """Run a job that :func:`packed` made.

        Returns:
            What its function returned.

        Raises:
            JobDiedError: The process ended before it answered.
            Exception: Whatever the function raised.
        """
        assert self._process.stdin and self._process.stdout
        answer = None
        with suppress(OSError, ValueError):  # it died; ValueError: it was stopped meanwhile
            self._process.stdin.write(LENGTH.pack(len(job)) + job)
            self._process.stdin.flush()
            answer = read(self._process.stdout)
        if answer is None:
            raise JobDiedError(self._reason())
        is_result, value = pickle.loads(answer)
        if is_result:
            return value
        raise value

    def stop(self) -> None:
        """End the process and all that it started; a job may clean up after itself."""
        with self._stopping:
            process = self._process
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout, self._errors):
                assert stream
                with suppress(OSError):  # unread data may still be buffered
                    stream.close()

    def _reason(self) -> str:
        status = self._process.wait()
        if status < 0:
            hint = ", perhaps because memory ran out" if status == -signal.SIGKILL else ""
            return f"its process was killed by signal {-status}{hint}"
        with self._stopping:
            if self._errors.closed:
                return "it was stopped"
            self._errors.seek(0)
            text = self._errors.read().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = f": {lines[-1][:300]}" if lines else ""
        return f"its process ended with status {status}{reason}"


def packed(function: Callable[..., Any], arguments: Any = (), keywords: Any = None) -> bytes:
    """Make a job of a function of a module and its arguments.

    Raises:
        InputError: They cannot be sent to another process.
    """
    try:
        if getattr(function, "__module__", None) == "__main__":
            raise pickle.PicklingError("it is defined in a script, which is no module")
        return pickle.dumps((function, tuple(arguments), dict(keywords or {})))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        name = getattr(function, "__qualname__", type(function).__name__)
        raise InputError(
            f"{name} cannot run in another process: {error}; use a function at the top level of a "
            "module, and plain data"
        ) from None
