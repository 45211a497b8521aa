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
    for number, run in enumerate(runs):
        _draw(loss, top1, rate, run, COLORS[number % len(COLORS)])
    loss.set(xlabel="epoch", title="Loss", ylim=(0, None))
    top1.set(xlabel="epoch", title="Top-1, validation")
    top1.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    rate.set(xlabel="epoch", title="Learning rate", ylim=(0, None))
    for axes in (loss, top1, rate):
        axes.grid(True)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    figure.legend(
        *loss.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9
    )
    return figure


def _draw(loss: Any, top1: Any, rate: Any, run: Metrics, color: str) -> None:
    steps = run.steps or max((step for step, _, _ in run.losses), default=1)
    drawn = run.losses[:: max(1, steps // _WINDOW)]
    places = [step / steps for step, _, _ in drawn]
    name = run.name
    loss.plot(places, [value for _, value, _ in drawn], color=color, alpha=0.35, linewidth=0.8)
    rate.plot(places, [value for _, _, value in drawn], color=color)
    epochs = [epoch["epoch"] for epoch in run.epochs]
    trained = [epoch["train_loss"] for epoch in run.epochs]
    validated = [epoch["validation"] for epoch in run.epochs]
    marks = {"color": color, "marker": ".", "markersize": 4}
    loss.plot(epochs, trained, label=f"{name}: training", **marks)
    losses = [each["loss"] for each in validated]
    loss.plot(epochs, losses, label=f"{name}: validation", linestyle="--", **marks)
    top1.plot(epochs, [each["top1"] for each in validated], **marks)
    if run.best is not None:
        place, value = run.best["epoch"], run.best["validation"]["top1"]
        side = "right" if place > len(epochs) / 2 else "left"
        top1.annotate(f"{value:.2%}", (place, value), (0, 5), textcoords="offset points", ha=side)
    for step, backend in run.backends.items():
        if step:  # where another framework went on
            loss.axvline(step / steps, color=color, linewidth=1, linestyle=":")
            loss.text(
                step / steps, 1, f" {backend}", transform=loss.get_xaxis_transform(), va="top"
            )
