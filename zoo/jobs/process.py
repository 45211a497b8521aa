"""One process for jobs: starts it, sends it one after another, and ends it with all it started."""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from zoo.errors import InputError
from zoo.jobs.errors import JobDiedError
from zoo.jobs.worker import GRACE, LENGTH, read


class Process:
    """A process with a session of its own: Ctrl-C reaches only the one that started it.

    In a ``with`` statement, it is killed at the end of the block.

    Args:
        environment: Variables in addition to those of this process.
        folder: Its working folder; that of this process if not given.
        name: What lists of processes show beside its program.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        folder: Path | str | None = None,
        name: str = "",
    ) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by kill)
        self._calling, self._stopping = threading.Lock(), threading.RLock()
        # -P: files in the working folder must not shadow modules of a framework.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from zoo.jobs.worker import main; main()", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": _python_path(), **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def number(self) -> int:
        """The process ID."""
        return self._process.pid

    def call(self, job: bytes, timeout: float | None = None) -> Any:
        """Run a job that :func:`packed` made, after those that other threads have given it.

        Args:
            job: The job.
            timeout: Seconds after which the process is killed; None to wait as long as it takes.

        Returns:
            What its function returned.

        Raises:
            JobDiedError: The process ended before it answered.
            Exception: Whatever the function raised.
        """
        assert self._process.stdin and self._process.stdout
        answer, in_time = None, True
        with self._calling, suppress(OSError, ValueError):  # it died; or it was stopped meanwhile
            self._process.stdin.write(LENGTH.pack(len(job)) + job)
            self._process.stdin.flush()
            in_time = _is_ready(self._process.stdout, timeout)
            answer = read(self._process.stdout) if in_time else None
        if not in_time:
            self.kill()
            raise JobDiedError(f"no result within {timeout:g} s")
        if answer is None:
            raise JobDiedError(self._reason())
        is_result, value = pickle.loads(answer)
        if is_result:
            return value
        raise value

    def stop(self) -> None:
        """End the process and all that it started; a job may clean up after itself."""
        with self._stopping:
            if self._process.poll() is None:
                with suppress(ProcessLookupError):
                    self._process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE)
            self.kill()

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        process = self._process
        with self._stopping:
            if self._errors.closed:  # the number of the process may be that of another by now
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            with self._calling:  # who waits for an answer notices the end first
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


def _python_path() -> str:
    """Return where a process finds the modules that this one can import, even from a checkout."""
    root = str(Path(__file__).resolve().parents[2])
    # The folder of a script comes last: its files must not shadow modules of a framework, either.
    paths = [root, *os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path[1:], sys.path[0]]
    return os.pathsep.join(dict.fromkeys(os.path.abspath(path) for path in paths if path))


def _is_ready(stream: IO[bytes], timeout: float | None) -> bool:
    """Wait for an answer, or for the end of the process."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


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
