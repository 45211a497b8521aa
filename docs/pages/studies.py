"""Tables of the studies that are published in docs/studies, made from their run files."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

from pydantic import TypeAdapter

from pages.staging import ROOT
from zoo.comparing import record
from zoo.comparing.pairing import ALIGNED, NATIVE
from zoo.comparing.results import Trained
from zoo.comparing.statistics import Figure
from zoo.views.study import words
from zoo.views.study.contents import summary
from zoo.views.study.report import Study

STUDIES = ROOT / "docs" / "studies"
_RUNS = TypeAdapter(list[Trained])


def study(name: str) -> Study:
    """Return a study with what its run file has: of each run, top-1 and loss."""
    recorded = record.read(STUDIES / f"{name}.json")
    labels = recorded["validation_images_of_classes"]
    runs: list[dict[str, Any]] = [
        {**run, "digests": (), "images": labels[run["condition"]["data"]]}
        for run in recorded["runs"].values()
    ]
    settings = {**recorded["study"], "margin": record.study_of(recorded).margin}
    return Study(settings, _RUNS.validate_python(runs))


def means(name: str) -> str:
    """Top-1 of each framework at each point of the grid: mean and standard deviation."""
    found = study(name)
    backends = found.study["backends"]
    lines = [f"| | | {' | '.join(map(words.title, backends))} |"]
    lines.append(f"|---|---|{'--:|' * len(backends)}")
    values: dict[tuple[str, str, str], list[float | None]] = {}
    for run, arms in zip(found.trained, found.arms, strict=True):
        point = ", ".join(f"{name} {value}" for name, value in run.condition.grid.items())
        for arm in arms:
            values.setdefault((point, arm, run.backend), []).append(run.top1)
    for point in dict.fromkeys(point for point, _, _ in values):
        for arm in (ALIGNED, NATIVE):
            cells = (_spread(values[point, arm, backend]) for backend in backends)
            lines.append(f"| {point} | {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float | None]) -> str:
    """Mean and standard deviation in percent; runs that stopped have no value, and are counted."""
    found = [100 * value for value in values if value is not None]
    stopped = len(values) - len(found)
    text = f"{mean(found):.1f} ± {stdev(found):.1f}" if len(found) > 1 else ""
    return text + f" ({stopped} stopped)" * bool(stopped)


def differences(name: str) -> str:
    """The differences of top-1 between each two frameworks, mean over the grid."""
    lines = ["| | aligned | | native | |", "|---|--:|---|--:|---|"]
    pairs: dict[str, dict[str, str]] = {}
    for d in summary(study(name).differences):
        if d.measure == "top1":
            cell = f"{_size(d.figure)} | {words.verdict(d)}"
            pairs.setdefault(f"{words.title(d.a)} − {words.title(d.b)}", {})[d.arm] = cell
    lines += [f"| {pair} | {arms[ALIGNED]} | {arms[NATIVE]} |" for pair, arms in pairs.items()]
    return "\n".join(lines)


def shares(name: str) -> str:
    """The share of each switch in the gap of each framework's native runs from its aligned ones."""
    lines = ["| | switch | share of the gap in top-1 | |", "|---|---|--:|---|"]
    for e in summary(study(name).effects):
        if e.measure == "top1" and not e.b:
            lines.append(f"| **{words.title(e.a)}** | native less aligned | {_size(e.gap)} | |")
            for effect in e.effects:
                said = "distinguishable" if effect.distinguishable else ""
                lines.append(f"| | {words.switch(effect)} | {_size(effect.figure)} | {said} |")
            lines.append(f"| | interactions of these | {_size(e.residual)} | |")
    return "\n".join(lines)


def _size(figure: Figure | None) -> str:
    """A mean with its interval; where all values are equal, there is none."""
    if figure is None:
        return ""
    interval = words.interval(figure, True)
    return words.number(figure.mean, True) + f" ({interval})" * bool(interval)
