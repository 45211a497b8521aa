"""What makes backends train differently: each switch's share of the gap between native runs.

In each backend and for each seed, the effect of a switch is the mean difference between runs with
it native and with it aligned, over the combinations of the others. The gap of two backends is then
the gap that remains when both are aligned, plus for each switch the difference between its effects
in the two, plus a residual: interactions of three and more switches. These add up exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from zoo.comparing.designs import Alias, Design, Group
from zoo.comparing.pairing import MEASURES, Place, Runs, Seeds, independent, status, value
from zoo.comparing.results import Trained
from zoo.comparing.statistics import LEVEL, Figure, holm, summarize


@dataclass(frozen=True)
class Effect:
    """The share of a switch in a gap, in units of the measure.

    Attributes:
        switches: The switch; or several, if only their sum can be known.
        figure: Its share, over the seeds.
        flip_holm, t_holm: p of the figure, adjusted for all switches of the gap.
        aliases: Interactions that are in it, and cannot be told from it.
        inert: The backends in which it makes no difference, since their own value is the aligned.
    """

    switches: tuple[str, ...]
    figure: Figure
    flip_holm: float | None = None
    t_holm: float | None = None
    aliases: tuple[Alias, ...] = ()
    inert: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The switch, or several with a plus between them."""
        return " + ".join(self.switches)

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes 0, and so does the t test adjusted for all switches."""
        return self.figure.excludes_zero and self.t_holm is not None and self.t_holm < LEVEL


@dataclass(frozen=True)
class Explanation:
    """The gap between native runs of two backends, or of one from its aligned runs, in parts.

    ``gap = aligned + sum of effects + residual``, for the means.

    Attributes:
        place: The network, the dataset, and the point of the grid.
        measure: ``top1`` or ``loss``.
        a, b: The backends; ``b`` is empty for the gap of ``a`` from its own aligned runs.
        gap: ``a`` less ``b``, both native.
        aligned: ``a`` less ``b``, both aligned; 0 if ``b`` is empty.
        effects: Of each switch, the largest first.
        residual: What the switches one by one do not explain: their interactions.
        designs: Backend -> which combinations it has run, in words.
        runs: How many runs these are.
        chance: How many of them are at chance level; they count, since a switch may be the reason.
        stopped: How many have no result; their combinations are left out for these seeds.
    """

    place: Place
    measure: str
    a: str
    b: str
    gap: Figure
    aligned: Figure
    effects: tuple[Effect, ...]
    residual: Figure
    designs: Mapping[str, str]
    runs: int
    chance: int
    stopped: int

    @property
    def largest(self) -> Effect | None:
        """The largest effect, if it can be distinguished from the seeds.

        A smaller one that can be is not the largest contributor.
        """
        first = next(iter(self.effects), None)
        return first if first is not None and first.distinguishable else None

    def fraction(self, effect: Effect) -> float | None:
        """Return an effect relative to the gap; None if the gap may be 0."""
        return effect.figure.mean / self.gap.mean if self.gap.excludes_zero else None


def explain(
    runs: Iterable[Trained], backends: Sequence[str] = (), switches: Sequence[str] = ()
) -> list[Explanation]:
    """Divide the gaps between native runs among the switches.

    Args:
        runs: All of a study. Those of the switches are combinations of native and aligned ones,
            the aligned and the native corner among them.
        backends: In the order in which they are to be compared.
        switches: In the order in which they are to be named.

    Returns:
        For each network, dataset and point of the grid: of each two backends, and of each backend
        and its aligned runs. A backend without runs for it is left out.

    Source: Box, Hunter and Hunter, Statistics for Experimenters, 2nd edition, chapters 5 and 6

    Example:
        >>> from zoo.comparing.results import Condition
        >>> def run(momentum, eps, seed):
        ...     on = {"momentum": momentum, "eps": eps}
        ...     native = frozenset(name for name in on if on[name])
        ...     condition = Condition("lenet5", "digits", {}, native, seed, seed)
        ...     top1 = 0.9 - (0.1 - 0.01 * seed) * momentum
        ...     return Trained(condition, "keras", on, top1, 1.0)
        >>> found = explain(run(m, e, s) for m in (0, 1) for e in (0, 1) for s in (1, 2, 3))
        >>> found[0].largest.name, round(found[0].largest.figure.mean, 3)
        ('momentum', -0.08)
    """
    found = []
    for group in Runs.split(runs, backends, switches):
        for place in group.places():
            for measure in MEASURES:
                parts = {b: _parts(group, place, measure, b) for b in group.backends}
                known = {b: p for b, p in parts.items() if p is not None}
                for a, b in combinations(known, 2):
                    if known[a].varies or known[b].varies:
                        found.append(_explanation(group, place, measure, a, b, known))
                for a in known:
                    if known[a].varies:
                        found.append(_explanation(group, place, measure, a, "", known))
    return [each for each in found if each is not None]


@dataclass(frozen=True)
class _Parts:
    """What the runs of a backend say, for each seed, as means over the points of a place.

    Attributes:
        groups: The switches whose effects are known; empty if none matters to the backend.
        aligned, native: Seeds -> the value.
        effects: Seeds -> the effect of each group.
        aliases: Of each group.
        design: In words.
        tally: How many runs, at chance level, and stopped.
    """

    groups: tuple[Group, ...]
    aligned: Mapping[Seeds, float]
    native: Mapping[Seeds, float]
    effects: Mapping[Seeds, Mapping[Group, float]]
    aliases: Mapping[Group, tuple[Alias, ...]]
    design: str
    tally: tuple[int, int, int]

    @property
    def varies(self) -> bool:
        return bool(self.groups)


def _parts(group: Runs, place: Place, measure: str, backend: str) -> _Parts | None:
    """Return what a backend's runs say; None if they do not explain anything."""
    points = group.points_of(place)
    designs = [Design.of(group.rows(backend, point), group.switches) for point in points]
    design = designs[0]
    if any(each.groups != design.groups for each in designs):
        return None
    if len(group.native(backend, points[0])) > 1 and len(design.groups) == 1:
        return None  # only the two corners
    if not all(each.separates for each in designs):
        return None
    found = [_of_point(group, each, point, measure, backend)
             for each, point in zip(designs, points, strict=True)]  # fmt: skip
    shared = [s for s in found[0][0] if all(s in effects for effects, *_ in found)]
    if not shared:
        return None

    def mean(values: Iterable[float]) -> float:
        listed = list(values)
        return sum(listed) / len(listed)

    tallies = [tally for *_, tally in found]
    return _Parts(
        design.groups,
        {s: mean(aligned[s] for _, aligned, _, _ in found) for s in shared},
        {s: mean(native[s] for _, _, native, _ in found) for s in shared},
        {s: {g: mean(effects[s][g] for effects, *_ in found) for g in design.groups}
         for s in shared},
        design.aliases(),
        design.describe() if design.groups else "no switch makes a difference",
        (sum(t[0] for t in tallies), sum(t[1] for t in tallies), sum(t[2] for t in tallies)),
    )  # fmt: skip


def _of_point(
    group: Runs, design: Design, point: Mapping[str, Any], measure: str, backend: str
) -> tuple[
    dict[Seeds, dict[Group, float]], dict[Seeds, float], dict[Seeds, float], tuple[int, int, int]
]:
    """Return, of one point: the effects of each seed, its aligned and native value, a tally."""
    runs = {levels: group.find(backend, levels, point) for levels in design.rows}
    corners = frozenset[str](), group.native(backend, point)
    effects: dict[Seeds, dict[Group, float]] = {}
    values: tuple[dict[Seeds, float], dict[Seeds, float]] = {}, {}
    for seeds in dict.fromkeys(s for of in runs.values() for s in of):
        known = {
            levels: v
            for levels, of in runs.items()
            if seeds in of and (v := value(of[seeds], measure, learned=False)) is not None
        }
        if not all(corner in known for corner in corners):
            continue
        estimated = design.effects(list(known), list(known.values()))
        if estimated is not None:
            effects[seeds] = dict(zip(design.groups, estimated.tolist(), strict=True))
            for corner, of in zip(corners, values, strict=True):
                of[seeds] = known[corner]
    kinds = [status(r) for of in runs.values() for repeats in of.values() for r in repeats]
    return effects, *values, (len(kinds), kinds.count("chance"), kinds.count("stopped"))


def _explanation(
    group: Runs, place: Place, measure: str, a: str, b: str, known: Mapping[str, _Parts]
) -> Explanation | None:
    members = [known[name] for name in (a, b) if name]
    seeds = independent(s for s in members[0].effects if all(s in m.effects for m in members))
    if not seeds:
        return None
    first, second = members[0], members[-1]
    if b:
        gaps = [first.native[s] - second.native[s] for s in seeds]
        aligned = [first.aligned[s] - second.aligned[s] for s in seeds]
    else:
        gaps = [first.native[s] - first.aligned[s] for s in seeds]
        aligned = [0.0] * len(seeds)
    effects = []
    rest = [gap - start for gap, start in zip(gaps, aligned, strict=True)]
    for switches in _merged([m.groups for m in members], group.switches):
        shares = [
            _less(_sum(first, s, switches), _sum(second, s, switches) if b else 0.0) for s in seeds
        ]
        rest = [_less(r, share) for r, share in zip(rest, shares, strict=True)]
        aliases = dict.fromkeys(
            alias for m in members for g, of in m.aliases.items() if set(g) <= set(switches)
            for alias in of
        )  # fmt: skip
        inert = tuple(name for name in (a, b) if name and not _has(known[name], switches))
        effects.append(Effect(switches, summarize(shares), None, None, tuple(aliases), inert))
    return Explanation(
        place,
        measure,
        a,
        b,
        summarize(gaps),
        summarize(aligned),
        _adjusted(effects),
        summarize(rest),
        {name: known[name].design for name in (a, b) if name},
        *(sum(m.tally[i] for m in members) for i in range(3)),
    )


def _less(a: float, b: float) -> float:
    """Subtract, without what is left by rounding."""
    return 0.0 if abs(a - b) < 1e-12 * max(abs(a), abs(b), 1e-3) else a - b


def _sum(parts: _Parts, seeds: Seeds, switches: Group) -> float:
    return sum(v for g, v in parts.effects[seeds].items() if set(g) <= set(switches))


def _has(parts: _Parts, switches: Group) -> bool:
    return any(set(group) & set(switches) for group in parts.groups)


def _merged(partitions: Sequence[Sequence[Group]], order: Sequence[str]) -> list[Group]:
    """Return groups so large that each group of any backend is in one of them."""
    merged: list[set[str]] = []
    for g in (g for groups in partitions for g in groups):
        touching = [m for m in merged if m & set(g)]
        merged = [m for m in merged if m not in touching] + [set(g).union(*touching)]
    return sorted(
        (tuple(sorted(m, key=order.index)) for m in merged), key=lambda g: order.index(g[0])
    )


def _adjusted(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Adjust the p of all switches for each other, and put the largest effect first."""
    flip = holm([e.figure.flip_p for e in effects])
    t = holm([e.figure.t_p for e in effects])
    adjusted = [
        Effect(e.switches, e.figure, f, p, e.aliases, e.inert)
        for e, f, p in zip(effects, flip, t, strict=True)
    ]
    return tuple(sorted(adjusted, key=lambda e: -abs(e.figure.mean)))
