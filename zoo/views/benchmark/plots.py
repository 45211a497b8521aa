"""Plots a benchmark as SVG text to embed in a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from zoo.benchmarking.results import Results
from zoo.verification.rendering.plotting import COLORS, INK, STYLE, STYLES, as_svg
from zoo.views.benchmark import words
from zoo.views.benchmark.words import Row

_HALF_WIDTH = (5.6, 3.0)  # inches, of the page, without the legend
_BAR = 0.32  # inches of a bar


def over_batches(rows: Sequence[Row], title: str) -> str:
    """Plot time against batch, a line for each way to compute the same."""
    with rc_context(STYLE):
        figure = Figure(_size(rows), layout="constrained")
        axes = figure.add_subplot()
        for number, way in enumerate(_ways(rows)):
            points = [
                (row.measured.cell.batch, row.measured.time)
                for row in rows
                if row.measured.cell.way == way and row.measured.time
            ]
            points.sort(key=lambda point: point[0])
            x, y = [batch for batch, _ in points], [time.value for _, time in points]
            below = [time.value - (time.low or time.value) for _, time in points]
            above = [(time.high or time.value) - time.value for _, time in points]
            axes.errorbar(x, y, (below, above), label=way, marker=".", capsize=2, **_look(number))
        axes.set(xlabel="batch", ylabel="time", xscale="log", yscale="log", title=title)
        axes.set_xticks(sorted({row.measured.cell.batch for row in rows}))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        _in_seconds(axes.yaxis)
        return _svg(figure, axes, f"Time against batch: {title}")


def memory(rows: Sequence[Row], title: str) -> str:
    """Plot the peak of memory against time, a point for each cell."""
    with rc_context(STYLE):
        figure = Figure(_size(rows), layout="constrained")
        axes = figure.add_subplot()
        for number, way in enumerate(_ways(rows)):
            points = [
                (row.measured.time.value, peak / 2**20)
                for row in rows
                if row.measured.cell.way == way and row.measured.time
                for peak in [row.measured.device_memory or row.measured.memory()]
                if peak is not None
            ]
            marker = "os^vDPX*"[number // len(COLORS) % 8]
            color = COLORS[number % len(COLORS)]
            axes.scatter(*zip(*points, strict=True), label=way, marker=marker, color=color)
        axes.set(xlabel="time", ylabel="peak, MiB", xscale="log", title=title)
        axes.set_ylim(0, None)
        _in_seconds(axes.xaxis)
        return _svg(figure, axes, f"Memory against time: {title}")


def ratios(rows: Sequence[Row], title: str) -> str:
    """Plot bars of the time relative to the baseline, with intervals."""
    shown = [row for row in rows if row.ratio is not None or row.is_baseline]
    shown = [row for row in shown if row.measured.time]
    with rc_context(STYLE):
        figure = Figure((_HALF_WIDTH[0], 1.1 + _BAR * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(shown):
            value = row.ratio.value if row.ratio and not row.is_baseline else 1.0
            color = COLORS[_ways(rows).index(row.measured.cell.way) % len(COLORS)]
            axes.barh(place, value, color=color, alpha=0.8, height=0.7)
            ratio = row.ratio
            if ratio and not row.is_baseline and ratio.low is not None and ratio.high is not None:
                around = ([value - ratio.low], [ratio.high - value])
                axes.errorbar(value, place, xerr=around, color=INK, capsize=3, linewidth=1)
        values = [row.ratio.value for row in shown if row.ratio] or [1.0]
        axes.set_xlim(0, 2.5 * max(1.0, *values))  # a wide interval is cut off, not the bars
        axes.axvline(1, color=INK, linewidth=1, linestyle=(0, (1, 2)))
        axes.set_yticks(range(len(shown)), [row.measured.cell.way for row in shown])
        axes.invert_yaxis()
        axes.set(xlabel="time, relative to the baseline", title=title)
        axes.grid(True, axis="x")
        return as_svg(figure, f"Ratios: {title}")


def first_calls(results: Results) -> str:
    """Plot how long the first call of each cell takes."""
    shown = [(m, f) for m in results.cells if (f := m.once("first")) is not None]
    with rc_context(STYLE):
        figure = Figure((11.5, 1.1 + 0.24 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        ways = list(dict.fromkeys(m.cell.way for m, _ in shown))
        for place, (m, f) in enumerate(shown):
            color = COLORS[ways.index(m.cell.way) % len(COLORS)]
            axes.barh(place, f.value, color=color, alpha=0.8, height=0.7)
        names = [f"{m.cell.model}, {m.cell.way}, {m.cell.work}, {m.cell.batch}" for m, _ in shown]
        axes.set_yticks(range(len(shown)), names, fontsize=8)
        axes.invert_yaxis()
        axes.set(xlabel="first call", xscale="log")
        _in_seconds(axes.xaxis)
        axes.grid(True, axis="x")
        return as_svg(figure, "First calls")


def _size(rows: Sequence[Row]) -> tuple[float, float]:
    return _HALF_WIDTH[0], _HALF_WIDTH[1] + 0.1 * (len(_ways(rows)) + 1)


def _ways(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.measured.cell.way for row in rows))


def _look(number: int) -> dict[str, Any]:
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": STYLES[number // len(COLORS) % len(STYLES)],
        "linewidth": 1.4,
    }


def _in_seconds(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.seconds(value)))
    axis.set_minor_formatter(NullFormatter())


def _svg(figure: Any, axes: Any, title: str) -> str:
    axes.grid(True)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, handlelength=3)
    return as_svg(figure, title)
