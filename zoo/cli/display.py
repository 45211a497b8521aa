"""Shows the progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zoo.cli.terminal import console, err

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

#: Seconds between lines where there is no terminal.
PAUSE = 10.0


class Display(ABC):
    """Shows events on standard error; a base for those of one kind of work.

    Attributes:
        title: What the bar says before the first event.
        fields: Names of texts beside the bar, which are empty at first.
    """

    title: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._last = time.monotonic()

    @abstractmethod
    def columns(self) -> list[ProgressColumn]:
        """Return the columns of the bar."""

    def __enter__(self) -> Self:
        if err.is_terminal:
            from rich.progress import Progress

            self._progress = Progress(*self.columns(), console=console(err), transient=True)
            empty: Any = dict.fromkeys(self.fields, "")
            self._task = self._progress.add_task(self.title, total=None, **empty)
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @property
    def _is_due(self) -> bool:
        """Whether the last line was long ago."""
        return time.monotonic() - self._last > PAUSE

    def _line(self, text: str) -> None:
        self._last = time.monotonic()
        if self._progress is not None:
            self._progress.console.print(text, markup=False)
            return
        with suppress(OSError):  # the work continues even if nobody can read this
            print(text, file=sys.stderr, flush=True)
