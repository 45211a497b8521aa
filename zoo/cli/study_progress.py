"""Shows the progress of a study: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from zoo.cli.terminal import console, err

if TYPE_CHECKING:
    from rich.progress import Progress

    from zoo.comparing.run import Ended, Started

#: Seconds between lines where there is no terminal.
_PAUSE = 10.0


class Display:
    """Shows events on standard error.

    Attributes:
        done: How many runs have ended.
        total: How many there are; 0 before that is known.
    """

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._last = 0.0
        self.done = self.total = 0

    def __enter__(self) -> Self:
        if err.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                console=console(err),
                transient=True,
            )
            self._task = self._progress.add_task("Planning", total=None, left="")
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

    def __call__(self, event: Any) -> None:
        from zoo.comparing.run import Ended, Started

        match event:
            case Started():
                self._start(event)
            case Ended():
                self._end(event)
            case _:
                self._line(str(event))

    def _start(self, event: Started) -> None:
        from zoo.comparing.estimate import duration

        self.done, self.total = event.done, event.total
        left = event.total - event.done
        if not left:
            self._line(f"all {event.total:,} runs are there")
            return
        there = f", {event.done:,} more are there" if event.done else ""
        self._line(
            f"{left:,} runs to train{there}; {event.side_by_side} at a time, about "
            f"{duration(event.seconds)}"
        )
        if self._progress is not None:
            self._progress.update(self._task, description="Training", total=event.total, left="")
            self._progress.update(self._task, completed=event.done)

    def _end(self, event: Ended) -> None:
        from zoo.comparing.estimate import duration

        self.done = event.done
        condition, result = event.run.condition, event.result
        top1 = result.stopped if result.top1 is None else f"top-1 {result.top1:.2%}"
        kind = f"{len(condition.native)} native" if condition.native else "aligned"
        text = f"{condition.model}, {event.run.backend}, {kind}: {top1}"
        left = f"about {duration(event.seconds)} left" if event.done < event.total else ""
        if self._progress is not None:
            self._progress.update(self._task, description=text, completed=event.done, left=left)
        elif result.top1 is None or not left or time.monotonic() - self._last > _PAUSE:
            self._line(f"{event.done:,} of {event.total:,} runs  {text}  {left}".rstrip())

    def _line(self, text: str) -> None:
        self._last = time.monotonic()
        if self._progress is not None:
            self._progress.console.print(text, markup=False)
            return
        with suppress(OSError):  # the study continues even if nobody can read this
            print(text, file=sys.stderr, flush=True)
