"""Lets a step end before a run is interrupted."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))
_SAME = 1.0  # seconds


class Interruption:
    """Notes Ctrl-C and requests to end, instead of raising; the second one raises.

    What comes within a second is the same request: launchers repeat what the terminal has sent.
    In a thread other than the main one, signals are not handled.

    Example:
        >>> with Interruption() as interruption:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     interruption.signal
        'SIGTERM'
    """

    def __init__(self) -> None:
        self.signal, self._time = "", 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and time.monotonic() - self._time > _SAME:
            raise KeyboardInterrupt
        if not self.signal:
            self.signal, self._time = signal.Signals(number).name, time.monotonic()
