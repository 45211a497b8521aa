"""Shows the progress of a training run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.cli.display import Display

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from zoo.training.events import Epoch, Event


class TrainingDisplay(Display):
    """Shows the events of a run; one of its callbacks."""

    title, fields = "Starting", ("figures",)

    def columns(self) -> list[ProgressColumn]:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

        return [
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
        ]

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
            case Step() if self._is_due:
                share = event.step / event.steps
                self._line(
                    f"epoch {event.epoch}/{event.epochs}  step {event.step:,}/{event.steps:,} "
                    f"({share:.0%})  loss {event.loss:.4f}  {event.images_per_second:,.0f} images/s"
                )
            case Evaluating() if self._progress is not None:
                self._progress.update(self._task, figures=f"evaluating {event.done}/{event.total}")


def _epoch(event: Epoch) -> str:
    result = event.validation
    top5 = "" if result.top5 is None else f"  top-5 {result.top5:.2%}"
    validated = "validation" if event.plain is None else "validation of the averages"
    best = "  best" if event.best else ""
    if event.damaged:
        best += f"  {event.damaged:,} damaged images replaced; metrics.jsonl names them"
    if result.damaged:
        best += f"  {len(result.damaged):,} damaged images left out; metrics.jsonl names them"
    if event.skipped:
        best += f"  {event.skipped:,} steps without an update"
    return (
        f"epoch {event.epoch}/{event.epochs}  loss {event.train_loss:.4f}  {validated} "
        f"{result.loss:.4f}  top-1 {result.top1:.2%}{top5}  "
        f"{event.images_per_second:,.0f} images/s{best}"
    )
