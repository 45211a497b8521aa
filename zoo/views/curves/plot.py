"""Draws the metrics of runs: loss, top-1 and learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from zoo.verification.rendering.plotting import COLORS, INK, STYLE, as_svg
from zoo.views.curves.reading import Metrics

_SIZE = 11.5, 3.6  # inches
_LINE = 11  # points, of a label
_ROWS = 12  # of labels beneath each other
_WINDOW = 50  # at most so many points of a line of steps are drawn an epoch's width apart


def svg(runs: Sequence[Metrics]) -> str:
    """Draw runs as SVG text, in the colors of the page that it is embedded in."""
    with rc_context(STYLE):
        return as_svg(_figure(runs), f"Training of {', '.join(run.name for run in runs)}")


def png(runs: Sequence[Metrics], path: str) -> None:
    """Draw runs as an image, black on white."""
    with rc_context({key: "black" if value == INK else value for key, value in STYLE.items()}):
        _figure(runs).savefig(path, dpi=150, facecolor="white", format="png")


def _figure(runs: Sequence[Metrics]) -> Any:
    figure = Figure(_SIZE, layout="constrained")
    loss, top1, rate = figure.subplots(1, 3)
    legend: list[tuple[Any, str]] = []
    for number, run in enumerate(runs):
        legend += _draw(loss, top1, rate, run, COLORS[number % len(COLORS)])
    _mark_resumes(loss, runs)
    loss.set(xlabel="epoch", title="Loss", ylim=(0, None))
    top1.set(xlabel="epoch", title="Top-1, validation")
    top1.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    rate.set(xlabel="epoch", title="Learning rate", ylim=(0, None))
    for axes in (loss, top1, rate):
        axes.grid(True)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    # As labels of lines, Matplotlib would leave out names that begin with an underscore.
    lines, names = zip(*legend, strict=True)
    figure.legend(lines, names, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _steps(run: Metrics) -> int:
    """Return how many steps are drawn as wide as an epoch."""
    return run.steps or max((step for step, _, _ in run.losses), default=1)


def _draw(loss: Any, top1: Any, rate: Any, run: Metrics, color: str) -> list[tuple[Any, str]]:
    """Draw a run, and return the lines of the legend with their names."""
    steps = _steps(run)
    drawn = run.losses[:: max(1, steps // _WINDOW)]
    places = [step / steps for step, _, _ in drawn]
    name = run.name
    loss.plot(places, [value for _, value, _ in drawn], color=color, alpha=0.35, linewidth=0.8)
    rate.plot(places, [value for _, _, value in drawn], color=color)
    epochs = [epoch["epoch"] for epoch in run.epochs]
    trained = [epoch["train_loss"] for epoch in run.epochs]
    validated = [epoch["validation"] for epoch in run.epochs]
    marks = {"color": color, "marker": ".", "markersize": 4}
    (full,) = loss.plot(epochs, trained, **marks)
    losses = [each["loss"] for each in validated]
    (dashed,) = loss.plot(epochs, losses, linestyle="--", **marks)
    top1.plot(epochs, [each["top1"] for each in validated], **marks)
    if run.best is not None:
        place, value = run.best["epoch"], run.best["validation"]["top1"]
        side = "right" if place > len(epochs) / 2 else "left"
        top1.annotate(f"{value:.2%}", (place, value), (0, 5), textcoords="offset points", ha=side)
    return [(full, f"{name}: training"), (dashed, f"{name}: {run.validated}")]


def _mark_resumes(axes: Any, runs: Sequence[Metrics]) -> None:
    """Mark where runs were resumed, each label in a row of its own."""
    row = 0
    for number, run in enumerate(runs):
        for step, backend in run.backends.items():
            if not step:
                continue
            place = step / _steps(run)
            axes.axvline(place, color=COLORS[number % len(COLORS)], linewidth=1, linestyle=":")
            axes.annotate(
                backend,
                (place, 1),
                (3, -_LINE * (row % _ROWS)),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                va="top",
                fontsize=9,
            )
            row += 1
