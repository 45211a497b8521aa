"""Plots a study as SVG text: differences, shares, variances, learning curves and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from zoo.comparing.differences import Difference
from zoo.comparing.effects import Explanation
from zoo.comparing.pairing import ALIGNED, NATIVE
from zoo.comparing.results import Trained
from zoo.comparing.statistics import Figure
from zoo.comparing.variance import Variance
from zoo.verification.rendering.plotting import COLORS, INK, STYLE, STYLES, as_svg
from zoo.views.study import words

_ARMS = {NATIVE: ("#d55e00", "o", -0.16), ALIGNED: ("#0072b2", "s", 0.16)}
_ROW = 0.34  # inches
_WIDE, _HALF = 11.5, 5.6  # inches, of the page
_MOST_POINTS = 400  # of a curve


def differences(found: Sequence[Difference], title: str) -> str:
    """Plot each pair's difference with its interval, native above aligned.

    Args:
        found: Of one measure and one place.
        title: Above the plot.
    """
    rows = [f"{words.title(d.a)} − {words.title(d.b)}" for d in found]
    names = list(dict.fromkeys(rows))
    with rc_context(STYLE):
        figure = Canvas((_HALF, 1.3 + _ROW * 1.3 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        _intervals(axes, found, [names.index(row) for row in rows])
        _rows(axes, names)
        axes.set(xlabel=f"difference in {words.MEASURES[found[0].measure]}", title=title)
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
        return as_svg(figure, f"Differences: {title}")


def points(found: Sequence[Difference], title: str) -> str:
    """Plot the differences at each point of a grid, with a panel for each pair.

    Args:
        found: Of one measure, network and dataset.
        title: Above the plot.
    """
    pairs = list(dict.fromkeys((d.a, d.b) for d in found))
    names = list(dict.fromkeys(_grid(d) for d in found))
    with rc_context(STYLE):
        figure, panels = _panels(len(pairs), len(names))
        for axes, pair in zip(panels, pairs, strict=True):
            mine = [d for d in found if (d.a, d.b) == pair]
            _intervals(axes, mine, [names.index(_grid(d)) for d in mine])
            axes.set_title(f"{words.title(pair[0])} − {words.title(pair[1])}", fontsize=9)
        _rows(panels[0], names)
        figure.suptitle(title)
        figure.supxlabel(f"difference in {words.MEASURES[found[0].measure]}", fontsize=10)
        return as_svg(figure, f"Differences by point of the grid: {title}")


def shares(found: Sequence[Explanation], title: str) -> str:
    """Plot the gap of each pair of backends, and the share of each switch in it.

    Args:
        found: Of one measure, network and dataset.
        title: Above the plot.
    """
    largest: dict[str, float] = {}
    for x in (x for e in found for x in e.effects):
        largest[words.switch(x)] = max(largest.get(words.switch(x), 0), abs(x.figure.mean))
    names = ["native gap", *sorted(largest, key=lambda n: -largest[n]), "residual", "aligned gap"]
    with rc_context(STYLE):
        figure, panels = _panels(len(found), len(names))
        for axes, e in zip(panels, found, strict=True):
            _shares(axes, e, names)
        _rows(panels[0], names)
        figure.suptitle(title)
        figure.supxlabel(f"difference in {words.MEASURES[found[0].measure]}", fontsize=10)
        return as_svg(figure, f"Shares of switches: {title}")


def variances(found: Sequence[Variance], title: str) -> str:
    """Plot the standard deviation by source, native above aligned, with intervals."""
    names = list(dict.fromkeys(c.name for v in found for c in v.components))
    with rc_context(STYLE):
        figure = Canvas((_HALF, 1.3 + _ROW * 1.2 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        for v in sorted(found, key=lambda v: v.arm != NATIVE):
            color, _, shift = _ARMS[v.arm]
            places = [names.index(c.name) + 1.3 * shift for c in v.components]
            values = [c.variance**0.5 for c in v.components]
            axes.barh(places, values, height=0.36, color=color, alpha=0.8, label=v.arm)
            for place, c in zip(places, v.components, strict=True):
                if c.low is not None and c.high is not None:
                    ends = [c.low**0.5, c.high**0.5]
                    axes.plot(ends, [place, place], color=INK, linewidth=1.2)
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.invert_yaxis()
        measure = words.MEASURES[found[0].measure]
        axes.set(xlabel=f"standard deviation of {measure}", title=title)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(True, axis="x")
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
        return as_svg(figure, f"Sources of variance: {title}")


def curves(runs: Sequence[Trained], arms: Sequence[str], title: str) -> str:
    """Plot the training loss of each backend, its mean over the seeds and their range.

    Args:
        runs: Of one network, dataset and point of the grid.
        arms: The arm of each run.
        title: Above the plot.
    """
    shown = [arm for arm in (NATIVE, ALIGNED) if arm in arms]
    backends = list(dict.fromkeys(run.backend for run in runs))
    with rc_context(STYLE):
        figure = Canvas((_HALF * len(shown), 3.6), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
        for axes, arm in zip(panels, shown, strict=True):
            for number, backend in enumerate(backends):
                mine = [
                    run.losses
                    for run, of in zip(runs, arms, strict=True)
                    if of == arm and run.backend == backend and run.losses
                ]
                if mine:
                    style = STYLES[number % len(STYLES)]
                    _curve(axes, mine, words.title(backend), COLORS[number % len(COLORS)], style)
            axes.set(xlabel="step", title=f"{title}: {arm}")
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
            axes.grid(True)
        panels[0].set(ylabel="training loss", ylim=(0, None))
        handles: dict[str, Any] = {}
        for axes in panels:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=4, fontsize=9
        )
        return as_svg(figure, f"Training loss: {title}")


def classes(found: Sequence[Difference], names: Sequence[str], title: str) -> str:
    """Plot the differences in the top-1 of each class, of each pair of native runs."""
    labels = [f"{words.title(d.a)} − {words.title(d.b)}" for d in found]
    with rc_context(STYLE):
        figure = Canvas((_WIDE, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for number, (d, label) in enumerate(zip(found, labels, strict=True)):
            color, shift = COLORS[number % len(COLORS)], 0.12 * (number - (len(found) - 1) / 2)
            text: str | None = label
            for place, f in enumerate(d.classes):
                if f is None:
                    continue
                axes.plot(place + shift, f.mean, "os^vDP"[number % 6], color=color, markersize=4,
                          label=text)  # fmt: skip
                if f.low is not None and f.high is not None:
                    axes.plot([place + shift] * 2, [f.low, f.high], color=color, linewidth=1.1)
                text = None
        axes.axhline(0, color=INK, linewidth=1)
        many = len(names) > 12
        axes.set_xticks(range(len(names)), names, fontsize=8, rotation=90 if many else 0)
        axes.set(ylabel="difference in top-1", xlabel="class", title=title)
        axes.grid(True, axis="y")
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
        return as_svg(figure, f"Differences by class: {title}")


def _panels(count: int, rows: int) -> tuple[Any, list[Any]]:
    """Return a figure with panels that share their axes, three beside each other."""
    columns = min(3, count)
    lines = -(-count // columns)
    size = (3.2 * columns + 1.9, (0.9 + 0.28 * rows) * lines + 0.7)
    figure = Canvas(size, layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    return figure, list(grid.flat[:count])


def _rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _intervals(axes: Any, found: Sequence[Difference], places: Sequence[int]) -> None:
    """Draw differences with their intervals, native above aligned, and the margin as a band."""
    margins = {d.margin for d in found if d.margin is not None}
    if len(margins) == 1:
        margin = margins.pop()
        axes.axvspan(-margin, margin, color=INK, alpha=0.08, linewidth=0, label="margin")
    axes.axvline(0, color=INK, linewidth=1)
    for arm, (color, marker, shift) in _ARMS.items():
        label: str | None = arm
        for d, place in zip(found, places, strict=True):
            if d.arm == arm and d.figure is not None:
                _point(axes, d.figure, place + shift, color, marker, label)
                label = None
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(True, axis="x")


def _shares(axes: Any, e: Explanation, names: Sequence[str]) -> None:
    bars = [("native gap", e.gap, INK), ("residual", e.residual, COLORS[1])]
    bars += [
        (words.switch(x), x.figure, COLORS[0] if x.distinguishable else COLORS[1])
        for x in e.effects
    ]
    if e.b:
        bars.append(("aligned gap", e.aligned, COLORS[1]))
    for name, f, color in bars:
        place = names.index(name)
        axes.barh(place, f.mean, color=color, alpha=0.35 if color == INK else 0.8, height=0.66)
        if f.low is not None and f.high is not None:
            axes.plot([f.low, f.high], [place, place], color=INK, linewidth=1.4)
    axes.axvline(0, color=INK, linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    other = words.title(e.b) if e.b else "its aligned runs"
    axes.set_title(f"{words.title(e.a)} − {other}", fontsize=9)
    axes.grid(True, axis="x")


def _point(
    axes: Any, figure: Figure, place: float, color: str, marker: str, label: str | None
) -> None:
    if figure.low is not None and figure.high is not None:
        axes.plot([figure.low, figure.high], [place, place], color=color, linewidth=1.6)
    axes.plot(figure.mean, place, marker, color=color, markersize=5, label=label, linestyle="")


def _curve(axes: Any, losses: Sequence[Sequence[float]], name: str, color: str, style: str) -> None:
    """Draw the mean of the steps that all have, in windows so that the line can be read."""
    steps = min(map(len, losses))
    table = np.array([each[:steps] for each in losses], np.float64)
    window = max(1, -(-steps // _MOST_POINTS), steps // 60)
    whole = table[:, : steps // window * window].reshape(len(table), -1, window).mean(axis=2)
    places = (np.arange(whole.shape[1]) + 0.5) * window
    axes.plot(places, whole.mean(axis=0), label=name, color=color, linestyle=style, linewidth=1.4)
    axes.fill_between(
        places, whole.min(axis=0), whole.max(axis=0), color=color, alpha=0.15, linewidth=0
    )


def _grid(d: Difference) -> str:
    if d.place.grid is None:
        return "mean"
    return ", ".join(f"{k} {v}" for k, v in d.place.grid.items())
