"""Calls functions in the background, while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Later:
    """Calls functions in order, in the background."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._called: list[Future[None]] = []

    def __call__(self, function: Callable[[], None]) -> None:
        """Call a function after those that were given before."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1)
        self._called.append(self._executor.submit(function))

    def wait(self) -> None:
        """Wait until all have been called.

        Raises:
            Exception: The first that one of them raised.
        """
        called, self._called = self._called, []
        for future in called:
            future.exception()  # all of them end before one is reported
        for future in called:
            future.result()
