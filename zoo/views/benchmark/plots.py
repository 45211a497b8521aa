"""Plots a benchmark as SVG text to embed in a page.

A backend has a color, and each of its modes a marker or a style of line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from zoo.benchmarking.cells import Cell
from zoo.benchmarking.results import Results
from zoo.benchmarking.statistics import Figure as Interval
from zoo.verification.rendering.plotting import COLORS, INK, STYLE, STYLES, as_svg
from zoo.views.benchmark import words
from zoo.views.benchmark.words import Row

_HALF_WIDTH = (5.6, 3.0)  # inches, of the page, without the legend
_WIDTH = 9.0  # inches, of a plot alone in its row
_BAR = 0.32  # inches of a bar
_MARKERS = "os^vDPX*"
_BASELINE: Any = {"color": INK, "linewidth": 1, "linestyle": (0, (1, 2))}


def across_models(rows: Sequence[Row], title: str) -> str:
    """Plot times relative to the baseline, of several models beside each other."""
    shown = [row for row in rows if row.measured.time and (row.ratio or row.is_baseline)]
    models = list(dict.fromkeys(row.measured.cell.model for row in shown))
    looks = _looks(row.measured.cell for row in shown)
    with rc_context(STYLE):
        height = 1.3 + len(models) * (0.2 + 0.09 * len(looks)) + 0.1 * len(looks)
        figure = Figure((_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        for number, (way, (color, place)) in enumerate(looks.items()):
            own = [row for row in shown if row.measured.cell.way == way]
            ratios = [_ratio(row) for row in own]
            apart = 0.7 * ((number + 0.5) / len(looks) - 0.5)
            axes.errorbar(
                [ratio.value for ratio in ratios],
                [models.index(row.measured.cell.model) + apart for row in own],
                xerr=_around(ratios),
                label=way,
                linestyle="",
                marker=_marker(place),
                color=color,
                markersize=5,
                capsize=2,
            )
        for place in range(1, len(models)):
            axes.axhline(place - 0.5, color=INK, linewidth=0.5, alpha=0.2)
        axes.axvline(1, **_BASELINE)
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.set_yticks(range(len(models)), models)
        axes.tick_params(axis="y", length=0)
        axes.set(xscale="log", xlabel="time, relative to the baseline", title=title)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(True, axis="x")
        figure.legend(loc="outside lower center", ncols=4, fontsize=9)
        return as_svg(figure, f"Ratios of several models: {title}")


def over_batches(rows: Sequence[Row], title: str) -> str:
    """Plot time against batch, a line for each way to compute the same."""
    looks = _looks(row.measured.cell for row in rows)
    with rc_context(STYLE):
        figure = Figure(_size(looks), layout="constrained")
        axes = figure.add_subplot()
        for way, (color, place) in looks.items():
            points = [
                (row.measured.cell.batch, row.measured.time)
                for row in rows
                if row.measured.cell.way == way and row.measured.time
            ]
            points.sort(key=lambda point: point[0])
            axes.errorbar(
                [batch for batch, _ in points],
                [time.value for _, time in points],
                yerr=_around([time for _, time in points]),
                label=way,
                color=color,
                linestyle=STYLES[place % len(STYLES)],
                linewidth=1.4,
                marker=".",
                capsize=2,
            )
        axes.set(xlabel="batch", ylabel="time", xscale="log", yscale="log", title=title)
        axes.set_xticks(sorted({row.measured.cell.batch for row in rows}))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        _in_seconds(axes.yaxis)
        return _svg(figure, axes, f"Time against batch: {title}")


def memory(rows: Sequence[Row], title: str) -> str:
    """Plot the peak of memory against time, a point for each cell."""
    looks = _looks(row.measured.cell for row in rows)
    with rc_context(STYLE):
        figure = Figure(_size(looks), layout="constrained")
        axes = figure.add_subplot()
        for way, (color, place) in looks.items():
            points = [
                (row.measured.time.value, peak / 2**20)
                for row in rows
                if row.measured.cell.way == way and row.measured.time
                for peak in [row.measured.device_memory or row.measured.memory()]
                if peak is not None
            ]
            axes.scatter(*zip(*points, strict=True), label=way, marker=_marker(place), color=color)
        axes.set(xlabel="time", ylabel="peak, MiB", xscale="log", title=title)
        axes.set_ylim(0, None)
        _in_seconds(axes.xaxis)
        return _svg(figure, axes, f"Memory against time: {title}")


def ratios(rows: Sequence[Row], title: str) -> str:
    """Plot bars of the time relative to the baseline, with intervals."""
    shown = [row for row in rows if row.ratio is not None or row.is_baseline]
    shown = [row for row in shown if row.measured.time]
    looks = _looks(row.measured.cell for row in rows)
    with rc_context(STYLE):
        figure = Figure((_HALF_WIDTH[0], 1.1 + _BAR * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(shown):
            ratio = _ratio(row)
            color, _ = looks[row.measured.cell.way]
            axes.barh(place, ratio.value, color=color, alpha=0.8, height=0.7)
            if ratio.low is not None:
                around = _around([ratio])
                axes.errorbar(ratio.value, place, xerr=around, color=INK, capsize=3, linewidth=1)
        values = [row.ratio.value for row in shown if row.ratio] or [1.0]
        axes.set_xlim(0, 2.5 * max(1.0, *values))  # a wide interval is cut off, not the bars
        axes.axvline(1, **_BASELINE)
        axes.set_yticks(range(len(shown)), [row.measured.cell.way for row in shown])
        axes.invert_yaxis()
        axes.set(xlabel="time, relative to the baseline", title=title)
        axes.grid(True, axis="x")
        return as_svg(figure, f"Ratios: {title}")


def first_calls(results: Results) -> str:
    """Plot how long the first call of each cell takes."""
    shown = [(m, f) for m in results.cells if (f := m.once("first")) is not None]
    looks = _looks(m.cell for m, _ in shown)
    with rc_context(STYLE):
        figure = Figure((11.5, 1.1 + 0.24 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        for place, (m, f) in enumerate(shown):
            color, _ = looks[m.cell.way]
            axes.barh(place, f.value, color=color, alpha=0.8, height=0.7)
        names = [f"{m.cell.model}, {m.cell.way}, {m.cell.work}, {m.cell.batch}" for m, _ in shown]
        axes.set_yticks(range(len(shown)), names, fontsize=8)
        axes.invert_yaxis()
        axes.set(xlabel="first call", xscale="log")
        _in_seconds(axes.xaxis)
        axes.grid(True, axis="x")
        return as_svg(figure, "First calls")


def _looks(cells: Iterable[Cell]) -> dict[str, tuple[str, int]]:
    """Each way to compute -> the color of its backend, and its place among those of this color."""
    backends = {cell.way: cell.backend for cell in cells}
    order = list(dict.fromkeys(backends.values()))
    colors = {way: COLORS[order.index(b) % len(COLORS)] for way, b in backends.items()}
    places: dict[str, list[str]] = {}
    for way, color in colors.items():
        places.setdefault(color, []).append(way)
    return {way: (color, places[color].index(way)) for way, color in colors.items()}


def _marker(place: int) -> str:
    return _MARKERS[place % len(_MARKERS)]


def _ratio(row: Row) -> Interval:
    return Interval(1, None, None) if row.is_baseline or row.ratio is None else row.ratio


def _around(figures: Sequence[Interval]) -> tuple[list[float], list[float]]:
    """How far intervals reach below and above their values; without an interval, not at all."""
    below = [f.value - (f.value if f.low is None else f.low) for f in figures]
    return below, [(f.value if f.high is None else f.high) - f.value for f in figures]


def _size(looks: dict[str, tuple[str, int]]) -> tuple[float, float]:
    return _HALF_WIDTH[0], _HALF_WIDTH[1] + 0.1 * (len(looks) + 1)


def _in_seconds(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.seconds(value)))
    axis.set_minor_formatter(NullFormatter())


def _svg(figure: Any, axes: Any, title: str) -> str:
    axes.grid(True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, handlelength=3)
    return as_svg(figure, title)
