"""Renders a study as a self-contained HTML page, which loads nothing from a network.

Its tables are sorted by a script of a few lines. The page's policy allows that script alone, by its
hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zoo
from zoo.comparing.differences import Difference
from zoo.comparing.pairing import MEASURES, NATIVE, Runs, status
from zoo.verification.rendering.page import environment, missing, script
from zoo.views import benchmark
from zoo.views.study import contents, methods, settings, words
from zoo.views.study.evaluation import Evaluation

_SCRIPT = Path(benchmark.__file__).parent / "templates" / "sorting.js"
#: Of a grid, more points than this have no curves and variances of their own on the page.
_MOST_POINTS = 6


def check() -> None:
    """Check that a page can be made; called before a long study rather than after it.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    _plots()
    _environment()


def page(study: Evaluation, pictures: Mapping[str, str]) -> str:
    """Make the page of a study.

    Args:
        study: What it says.
        pictures: Its figures.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    versions = settings.versions(study.study, study.runs)
    template = _environment().get_template("study.html.jinja")
    return str(
        template.render(
            study=study,
            title=_title(study),
            recipe=settings.recipe(study.study),
            versions=versions,
            headline=contents.headline(study),
            answers=contents.answers(study),
            proofs=methods.proofs(study.study),
            failures=contents.failures(study),
            limits=words.limits(study.differences, study.effects),
            tables=_tables(study),
            varied=_varied(study),
            explained=contents.summary(study.effects),
            pictures=_grouped(pictures),
            stopped=[run for run in study.trained if status(run) == "stopped"],
            words=words,
            **script(_SCRIPT),
            version=zoo.__version__,
        )
    )


def figures(study: Evaluation) -> dict[str, str]:
    """Make the figures of a study as SVG text.

    Returns:
        The name of a figure, which begins with its kind -> the text.

    Raises:
        BackendError: Jinja or Matplotlib is not installed.
    """
    plots = _plots()
    found: dict[str, str] = {}
    names = settings.names(study.study, "backends"), settings.names(study.study, "switches")
    for group in Runs.split(study.runs, *names):
        where = f"{group.model}, {group.data}"
        of = _of(group, study.differences)
        for measure in MEASURES:
            listed = [d for d in of if d.measure == measure and d.figure is not None]
            if listed:
                drawn = contents.summary(listed)
                found[_name("differences", where, measure)] = plots.differences(drawn, where)
            if len(group.points) > 1 and listed:
                found[_name("points", where, measure)] = plots.points(listed, where)
        explained = [e for e in contents.summary(_of(group, study.effects)) if e.b]
        for place in dict.fromkeys(words.where(e.place) for e in explained):
            for measure in MEASURES:
                shown = [
                    e for e in explained if (words.where(e.place), e.measure) == (place, measure)
                ]
                if shown:
                    found[_name("shares", place, measure)] = plots.shares(shown, place)
        for point in group.points[:_MOST_POINTS]:
            both = [
                (run, arm)
                for run in group.unique()
                if run.losses and _at(run, group, point)
                for arm in group.arms(run)
            ]
            if both:
                place = words.where(_place(group, point))
                found[_name("curves", place)] = plots.curves(*zip(*both, strict=True), place)
        for measure in MEASURES:
            by_place: dict[str, list[Any]] = {}
            for v in _of(group, study.variance):
                if v.measure == measure:
                    by_place.setdefault(words.where(v.place), []).append(v)
            for place, several in list(by_place.items())[:_MOST_POINTS]:
                found[_name("variance", place, measure)] = plots.variances(several, place)
        by_class = [
            d for d in contents.summary(of) if d.classes and d.arm == NATIVE and any(d.classes)
        ]
        for place in dict.fromkeys(words.where(d.place) for d in by_class):
            chosen = [d for d in by_class if words.where(d.place) == place]
            labels = [str(number) for number in range(len(chosen[0].classes))]
            if len(labels) <= 30:
                found[_name("classes", place)] = plots.classes(chosen, labels, place)
    return found


def _tables(study: Evaluation) -> list[tuple[str, list[Difference]]]:
    """Return the differences, and apart from them those at the points of a grid."""

    def order(difference: Difference) -> tuple[int, bool]:
        return MEASURES.index(difference.measure), difference.arm != NATIVE

    whole = contents.summary(study.differences)
    points = [d for d in study.differences if d not in whole]
    found = [("differences", sorted(whole, key=order)), ("points", sorted(points, key=order))]
    return [(name, rows) for name, rows in found if rows]


def _varied(study: Evaluation) -> dict[str, bool]:
    """Return which columns of places say anything."""
    conditions = [run.condition for run in study.runs]
    return {
        "place": len({(c.model, c.data) for c in conditions}) > 1,
        "grid": any(d.place.grid for d in study.differences),
    }


def _of(group: Runs, found: Any) -> list[Any]:
    return [f for f in found if (f.place.model, f.place.data) == (group.model, group.data)]


def _place(group: Runs, point: Mapping[str, Any]) -> Any:
    return next(p for p in group.places() if p.grid == point)


def _at(run: Any, group: Runs, point: Mapping[str, Any]) -> bool:
    c = run.condition
    return dict(c.grid) == dict(point) and c.deterministic == group.is_deterministic


def _title(study: Evaluation) -> str:
    name = study.study.get("name")
    if name:
        return str(name)
    conditions = [run.condition for run in study.runs]
    models = list(dict.fromkeys(c.model for c in conditions))
    data = list(dict.fromkeys(c.data for c in conditions))
    return f"{words.listed(models)} on {words.listed(data)}"


def _name(*parts: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(parts)).strip("-")


def _grouped(found: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, svg in found.items():
        groups.setdefault(name.partition("-")[0], []).append(svg)
    return groups


def _environment() -> Any:
    return environment("zoo.views.study", "zoo.verification.rendering")


def _plots() -> Any:
    try:
        from zoo.views.study import plots
    except ImportError as error:
        raise missing(error) from error
    return plots
