"""Shows the progress of a training run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from zoo.cli.terminal import console, err

if TYPE_CHECKING:
    from rich.progress import Progress

    from zoo.training.events import Epoch, Event

#: Seconds between the lines of steps where there is no terminal.
_PAUSE = 10.0


class Display:
    """Shows events on standard error; a callback of a run."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        if err.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=console(err),
                transient=True,
            )
            self._task = self._progress.add_task("Starting", total=None, figures="")
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

    def __call__(self, event: Event) -> None:
        from zoo.training.events import Epoch, Evaluating, Step

        match event:
            case Epoch():
                self._line(_epoch(event))
            case Step() if self._progress is not None:
                self._progress.update(
                    self._task,
                    description=f"Epoch {event.epoch}/{event.epochs}",
                    completed=event.step,
                    total=event.steps,
                    figures=f"loss {event.loss:.4f}  {event.images_per_second:,.0f} images/s",
                )
            case Step() if time.monotonic() - self._last > _PAUSE:
                share = event.step / event.steps
                self._line(
                    f"epoch {event.epoch}/{event.epochs}  step {event.step:,}/{event.steps:,} "
                    f"({share:.0%})  loss {event.loss:.4f}  {event.images_per_second:,.0f} images/s"
                )
            case Evaluating() if self._progress is not None:
                self._progress.update(self._task, figures=f"evaluating {event.done}/{event.total}")

    def _line(self, text: str) -> None:
        self._last = time.monotonic()
        if self._progress is not None:
            self._progress.console.print(text, markup=False)
            return
        with suppress(OSError):  # the run continues even if nobody can read this
            print(text, file=sys.stderr, flush=True)


def _epoch(event: Epoch) -> str:
    result = event.validation
    top5 = "" if result.top5 is None else f"  top-5 {result.top5:.2%}"
    best = "  best" if event.best else ""
    if event.damaged:
        best += f"  {event.damaged:,} damaged images replaced"
    return (
        f"epoch {event.epoch}/{event.epochs}  loss {event.train_loss:.4f}  validation "
        f"{result.loss:.4f}  top-1 {result.top1:.2%}{top5}  "
        f"{event.images_per_second:,.0f} images/s{best}"
    )
