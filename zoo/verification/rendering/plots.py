"""Plots results as SVG text to embed in a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.verification import tolerances
from zoo.verification.rendering.plotting import COLORS, INK, STYLES, as_svg
from zoo.verification.rendering.plotting import STYLE as PLAIN
from zoo.verification.results import Results, Training

#: Powers of ten are mathematical text. The names of nodes have no signs that it would parse.
STYLE = {**PLAIN, "text.parse_math": True}

_FLOOR = 1e-17  # stands for a difference of 0 on a logarithmic scale
_FULL_WIDTH, _HALF_WIDTH = (11.5, 3.4), (5.6, 3.2)  # inches, of the page


def depth(report: Results) -> str:
    """Plot the error of every node, in the order of computation, for each backend."""
    with rc_context(STYLE):
        figure = Figure(_FULL_WIDTH, layout="constrained")
        axes = figure.add_subplot()
        for i, result in enumerate(report.compared):
            positions = range(1, len(result.errors) + 1)
            _line(axes, i, positions, result.errors, result.title, marker=".", markersize=3)
        _tolerance(axes, report.tolerance)
        axes.set(xlabel="node, in the order of computation", ylabel="error", yscale="log")
        _label_worst(axes, report)
        return _svg(figure, axes, "Error of every node compared with NumPy in float64")


def losses(training: Training, rule: str, titles: Mapping[str, str]) -> str:
    """Plot the losses of all backends over the steps of a rule; the lines should coincide."""
    with rc_context(STYLE):
        figure = Figure(_HALF_WIDTH, layout="constrained")
        axes = figure.add_subplot()
        for i, (backend, by_rule) in enumerate(training.losses.items()):
            width = 4.5 - i if i < 4 else 1  # so that coinciding lines are visible
            _line(axes, i, _steps(by_rule[rule]), by_rule[rule], titles[backend], linewidth=width)
        axes.set(xlabel="step", ylabel="loss", title=f"{rule}: losses")
        return _svg(figure, axes, f"Training losses with {rule}")


def differences(training: Training, rule: str, titles: Mapping[str, str]) -> str:
    """Plot the difference between the weights of every pair of backends after each step."""
    with rc_context(STYLE):
        figure = Figure(_HALF_WIDTH, layout="constrained")
        axes = figure.add_subplot()
        for i, pair in enumerate(training.pairs):
            label = f"{titles[pair.a]} \N{MINUS SIGN} {titles[pair.b]}"
            _line(axes, i, _steps(pair.weights[rule]), pair.weights[rule], label)
        _tolerance(axes, tolerances.TRAINING["float64"])
        title = f"{rule}: differences of weights"
        axes.set(xlabel="step", ylabel="difference", yscale="log", title=title)
        return _svg(figure, axes, f"Differences of weights with {rule}", columns=2)


def drift(training: Training, titles: Mapping[str, str]) -> str:
    """Plot how far float32 training diverges from float64 training in each backend."""
    with rc_context(STYLE):
        figure = Figure(_HALF_WIDTH, layout="constrained")
        axes = figure.add_subplot()
        for i, (backend, values) in enumerate(training.drift.items()):
            _line(axes, i, _steps(values), values, titles[backend])
        title = f"{next(iter(training.rates))}: float32 compared with float64"
        axes.set(xlabel="step", ylabel="difference", yscale="log", title=title)
        return _svg(figure, axes, "Float32 compared with float64 in training")


def _tolerance(axes: Any, tolerance: float) -> None:
    axes.axhline(tolerance, color=INK, linewidth=1, linestyle=(0, (1, 2)))
    transform = axes.get_yaxis_transform()
    axes.text(0.01, tolerance, "tolerance", transform=transform, va="bottom", fontsize=9)


def _label_worst(axes: Any, report: Results) -> None:
    """Label the point of the largest error with the name of its node."""
    points = [
        (error, position, result.title)
        for result in report.compared
        for position, error in enumerate(result.errors, 1)
        if math.isfinite(error)
    ]
    if not points:
        return
    error, position, title = max(points)
    left = position > len(report.nodes) / 2  # toward the middle, where there is room
    axes.annotate(
        f"worst: {report.nodes[position - 1]}, {error:.1e} ({title})",
        (position, max(error, _FLOOR)),
        (-4 if left else 4, 5),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=9,
    )


def _line(
    axes: Any, number: int, x: Sequence[int], y: Sequence[float], label: str, **options: Any
) -> None:
    style = {
        "color": COLORS[number % len(COLORS)],
        "linestyle": STYLES[number % len(STYLES)],
        "linewidth": 1.4,
        **options,
    }
    axes.plot(x, [max(value, _FLOOR) for value in y], label=label, **style)


def _steps(values: Sequence[float]) -> range:
    return range(1, len(values) + 1)


def _svg(figure: Any, axes: Any, title: str, columns: int = 4) -> str:
    axes.grid(True)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.margins(y=0.1)
    figure.legend(loc="outside lower center", ncols=columns, fontsize=9, handlelength=3)
    return as_svg(figure, title)
