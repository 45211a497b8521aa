"""What all renderings of a study show, in the same order and the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from zoo.comparing.differences import Difference, Tally
from zoo.comparing.effects import Explanation
from zoo.comparing.pairing import ALIGNED, NATIVE, Place, status
from zoo.views.study import words
from zoo.views.study.evaluation import Evaluation


class _Placed(Protocol):
    @property
    def place(self) -> Place: ...


_Of = TypeVar("_Of", bound=_Placed)


def summary(found: Sequence[_Of]) -> list[_Of]:
    """Return what is of all points of a grid together; of a network without them, all."""
    whole = {(f.place.model, f.place.data) for f in found if f.place.grid is None}
    return [f for f in found if f.place.grid is None or (f.place.model, f.place.data) not in whole]


def answers(study: Evaluation) -> dict[str, list[str]]:
    """Return, of each network and dataset, a sentence for each pair, and what explains it."""
    found: dict[str, list[str]] = {}
    for (native, aligned), explanation in _pairs(study):
        either = native or aligned
        assert either is not None, "a pair has one of them"
        where = words.where(either.place)
        if either.place.grid is None:
            where += ", mean over the grid"
        text = words.answer(native, aligned)
        if explanation is not None and native is not None and native.differs:
            text += " " + words.because(explanation)
        found.setdefault(where, []).append(text)
    return found


def headline(study: Evaluation) -> str:
    """Count the pairs whose native runs differ, and those whose aligned runs do not."""
    shown = [d for d in summary(study.differences) if d.measure == "top1"]
    arms = {arm: [d for d in shown if d.arm == arm and d.figure] for arm in (NATIVE, ALIGNED)}
    parts = []
    for arm, found in arms.items():
        if not found:
            continue
        differ = sum(d.differs for d in found)
        equal = sum(d.equivalent and not d.differs for d in found)
        margins = {d.margin for d in found if d.margin is not None}
        within = f" within ±{margins.pop():g}" if len(margins) == 1 else ""
        same = sum(d.figure.is_nothing for d in found if d.figure)
        undecided = len(found) - differ - equal - same
        said = [_some(differ, "differs", "differ") + " in top-1"]
        said += [_some(same, "is", "are") + " the same in all runs"] * bool(same)
        said += [_some(equal, "is", "are") + f" equivalent{within}"] * bool(equal)
        said += [_some(undecided, "shows", "show") + " neither with these seeds"] * bool(undecided)
        parts.append(f"Of {words.count(len(found), 'pair')} of {arm} runs, {words.listed(said)}.")
    return " ".join(parts)


def _some(count: int, one: str, several: str) -> str:
    return f"{count or 'none'} {one if count < 2 else several}"


def failures(study: Evaluation) -> list[str]:
    """Return a sentence for each arm and backend with runs that are not compared."""
    places = {(run.condition.model, run.condition.data) for run in study.trained}
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for run, arms in zip(study.trained, study.arms, strict=True):
        where = f"{run.condition.model}, {run.condition.data}: " * (len(places) > 1)
        for arm in arms or ("partly native",):
            kinds.setdefault((where, arm, run.backend), []).append(status(run))
    found = []
    for (where, arm, backend), each in kinds.items():
        tally = Tally(backend, len(each), each.count("stopped"), each.count("chance"))
        found += [where + text for text in words.failures([(arm, tally)])]
    return found


def _pairs(
    study: Evaluation,
) -> list[tuple[tuple[Difference | None, Difference | None], Explanation | None]]:
    of: dict[tuple[str, str, str], dict[str, Difference]] = {}
    for d in summary(study.differences):
        if d.measure == "top1":
            of.setdefault((str(d.place), d.a, d.b), {})[d.arm] = d
    why = {(str(e.place), e.a, e.b): e for e in study.effects if e.measure == "top1"}
    return [((arms.get(NATIVE), arms.get(ALIGNED)), why.get(key)) for key, arms in of.items()]
