"""Trains in several processes on this machine, which the framework's own launcher starts."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from zoo import errors
from zoo.backend import registry
from zoo.backend.devices import LOST, Processes
from zoo.errors import TrainingError, ZooError
from zoo.files import scratch, write_text
from zoo.training.interruption import Interruption


def run(
    backend: str,
    devices: int | None,
    function: Callable[..., Any],
    arguments: dict[str, Any],
) -> Any:
    """Call a function, in a process for each device if the framework needs that.

    Ctrl-C and SIGTERM are passed on to process 0. A second one ends all processes.

    Args:
        backend: The framework.
        devices: The number of devices; None for what a launcher has started, or one.
        function: A function of a module. Each process calls it; what it returns can be JSON.
        arguments: Its arguments, which can be pickled.

    Returns:
        What the function returned in process 0, or in this one.

    Raises:
        ZooError: What a process raised, that of the first rank if several did.
        TrainingError: A process was killed.
        KeyboardInterrupt: It was interrupted before the function could take note of that.
    """
    loaded = None if devices in (None, 1) else registry.load(backend)
    count = 1 if loaded is None else loaded.processes(devices)
    if loaded is None or count == 1:
        return function(**arguments)
    with scratch(tempfile.gettempdir(), "zoo-devices-") as folder, _Forwarding() as forwarding:
        started = loaded.spawn(_work, (str(folder), function, arguments), count, folder)
        forwarding.process = started.processes[0]
        try:
            while not started.join():
                pass
        except KeyboardInterrupt:
            raise
        except Exception as error:  # each framework has its own
            reason = _reason(started, folder)
            if reason is None:
                raise
            if forwarding.signal and isinstance(reason, _KilledError):
                raise KeyboardInterrupt from None
            raise reason from error if os.environ.get("ZOO_DEBUG") else None
        finally:
            for process in started.processes:
                if process.is_alive():
                    process.kill()
                    process.join()
        result = _read(folder / _name(started, 0, "result"))
        if result is None:
            raise KeyboardInterrupt
        return result


class _KilledError(TrainingError):
    """A process was ended from outside."""


class _Forwarding(Interruption):
    """Passes signals on to a process."""

    process: Any = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        super()._note(number, frame)
        if self.process is not None:
            with suppress(OSError):  # it has ended
                os.kill(self.process.pid, signal.SIGTERM)


def _work(folder: str, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Call the function in one of the processes, and write what comes of it."""
    place = Path(folder) / str(os.getpid())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = function(**arguments)
    except ZooError as error:
        content = {"type": type(error).__name__, "message": str(error)}
        write_text(f"{place}.error", json.dumps(content))
        raise SystemExit(2) from None
    write_text(f"{place}.result", json.dumps(result))


def _end_with_parent() -> None:
    """Let the run end as on a signal if the process that started it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _reason(started: Processes, folder: Path) -> TrainingError | ZooError | None:
    """Return why the processes have ended; None for an exception that is none of zoo's."""
    found = [_read(folder / _name(started, i, "error")) for i in range(len(started.processes))]
    for error in found:
        if error is not None and error["message"] != LOST:
            kind: type[ZooError] = getattr(errors, error["type"], TrainingError)
            return kind(error["message"])
    codes = [process.exitcode or 0 for process in started.processes]
    # The launcher ends the others by SIGTERM, and Paddle aborts what has lost its connection.
    late = (-signal.SIGABRT, -signal.SIGTERM)
    killed = [i for i, code in enumerate(codes) if code < 0]
    first = sorted(killed, key=lambda i: codes[i] in late)
    if first and all(code <= 0 or error for code, error in zip(codes, found, strict=True)):
        name = signal.Signals(-codes[first[0]]).name
        return _KilledError(
            f"the process of device {first[0]} was killed by {name}, perhaps because memory ran "
            "out; the run can be resumed from its last checkpoint"
        )
    return None


def _name(started: Processes, rank: int, suffix: str) -> str:
    return f"{started.processes[rank].pid}.{suffix}"


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.exists() else None
