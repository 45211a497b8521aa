"""Shows the progress of a study: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cli.display import Display

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from zoo.comparing.run import Ended, Started


class StudyDisplay(Display):
    """Shows the events of a study.

    Attributes:
        done: How many runs have ended.
        total: How many there are; 0 before that is known.
    """

    title, fields = "Planning", ("left",)

    def __init__(self) -> None:
        super().__init__()
        self.done = self.total = 0

    def columns(self) -> list[ProgressColumn]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        return [
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        ]

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
            f"{left:,} runs to train{there}; {event.side_by_side} at a time, "
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
        left = f"{duration(event.seconds)} left" if event.done < event.total else ""
        if self._progress is not None:
            self._progress.update(self._task, description=text, completed=event.done, left=left)
        elif result.top1 is None or not left or self._is_due:
            self._line(f"{event.done:,} of {event.total:,} runs  {text}  {left}".rstrip())
