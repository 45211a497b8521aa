"""The figures of a study in words: numbers, intervals, and what they allow to be said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.backend import registry
from zoo.comparing.differences import Difference, Tally
from zoo.comparing.effects import Effect, Explanation
from zoo.comparing.pairing import Place
from zoo.comparing.statistics import LEAST, LEAST_BOOTSTRAP, LEVEL, Figure

MEASURES = {"top1": "top-1", "loss": "loss"}


def number(value: float | None, signed: bool = False) -> str:
    """Write a difference: three decimals, or two digits of what is smaller.

    Example:
        >>> number(0.03123), number(-0.00123), number(0.0, signed=True), number(0.5, signed=True)
        ('0.031', '−0.0012', '0', '+0.500')
    """
    if value is None:
        return ""
    size = abs(value)
    text = f"{size:.3f}" if size >= 0.01 else f"{size:.4f}" if size >= 5e-5 else _small(size)
    sign = "−" if value < 0 else "+" if signed and value > 0 else ""
    return sign + text if text != "0" else text


def interval(figure: Figure | None, signed: bool = False) -> str:
    """Write the interval of a figure; empty if there is none."""
    if figure is None or figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low, signed)} to {number(figure.high, signed)}"


def percent(share: float | None) -> str:
    """Write a share in percent.

    Example:
        >>> percent(0.926), percent(-0.02), percent(None)
        ('93%', '−2%', '')
    """
    return "" if share is None else f"{100 * share:.0f}%".replace("-", "−")


def p(value: float | None) -> str:
    """Write a p.

    Example:
        >>> p(0.0625), p(0.00002), p(1.0), p(None)
        ('0.062', '< 0.001', '1', '')
    """
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.9995 else "1"


def title(backend: str) -> str:
    """Return the name of a framework; that of a backend which is not known stays.

    Example:
        >>> title("torch"), title("mine")
        ('PyTorch', 'mine')
    """
    entry = registry.table().get(backend)
    return entry.title if entry is not None else backend


def switch(effect: Effect) -> str:
    """Write the switches of an effect."""
    return " + ".join(name.replace("_", " ") for name in effect.switches)


def aliases(effect: Effect) -> str:
    """Write the interactions that are not told apart from an effect: all, if they are few."""
    texts = [str(alias).replace("_", " ") for alias in effect.aliases]
    if len(texts) <= 2:
        return listed(texts, "or")
    pairs = sum(len(alias.switches) == 2 for alias in effect.aliases)
    kinds = [count(pairs, "interaction") + " of two"] * bool(pairs)
    kinds += [f"{len(texts) - pairs} of three"] * (len(texts) > pairs and bool(pairs))
    return listed(kinds) if pairs else count(len(texts), "interaction") + " of three switches"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Join words.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"])
        ('a, b and c', 'a')
    """
    return (
        f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
    )


def count(total: int, what: str) -> str:
    """Write how many.

    Example:
        >>> count(1, "seed"), count(1200, "run")
        ('1 seed', '1,200 runs')
    """
    return f"{total:,} {what}{'s' * (total != 1)}"


def where(place: Place) -> str:
    """Write a place; all points of a grid are its mean."""
    grid = ", ".join(f"{name} {value}" for name, value in (place.grid or {}).items())
    return f"{place.model}, {place.data}{', ' * bool(grid)}{grid}"


def answer(native: Difference | None, aligned: Difference | None) -> str:
    """Say in a sentence how far apart two backends are, native and aligned.

    Args:
        native: The difference between native runs; None without any.
        aligned: That between aligned runs; None without any.
    """
    parts = [_of_native(native)] if native is not None else []
    if aligned is not None:
        parts.append(_of_aligned(aligned, native))
    parts += [text for d in (native, aligned) if d is not None for text in _failed(d)]
    return " ".join(parts)


def because(explanation: Explanation) -> str:
    """Say which switch a gap comes from, if the seeds allow that."""
    effect = explanation.largest
    if effect is None:
        return _undecided(explanation)
    share = explanation.fraction(effect)
    whole = f", {percent(share)} of the gap" if share is not None and 0 < share <= 1.5 else ""
    return (
        f"The largest contributor is {switch(effect)}: {number(effect.figure.mean, True)}{whole} "
        f"(95% interval {interval(effect.figure, True)}{_aliased(effect)})."
    )


def verdict(difference: Difference) -> str:
    """Say in a few words what a difference shows."""
    if difference.figure is None:
        return "no runs to compare"
    if difference.differs:
        return "differs, within the margin" if difference.equivalent else "differs"
    if difference.figure.is_nothing:
        return "the same in all runs"
    return "equivalent" if difference.equivalent else "not distinguishable"


def failures(tallies: Iterable[tuple[str, Tally]]) -> list[str]:
    """Say which runs stopped or are at chance level, for each arm and backend."""
    found = []
    for arm, t in tallies:
        if t.failed:
            of = f"{count(t.runs, f'{arm} run')} of {title(t.backend)}"
            kinds = [f"{t.chance:,} at chance level"] * bool(t.chance)
            kinds += [f"{t.stopped:,} stopped without a result"] * bool(t.stopped)
            found.append(f"{of}: {listed(kinds)}")
    return found


def limits(differences: Sequence[Difference], explanations: Sequence[Explanation]) -> list[str]:
    """Say what so few seeds cannot show."""
    figures = [d.figure for d in differences if d.figure is not None]
    if not figures:
        return []
    least = min(figures, key=lambda f: f.seeds)
    tests = max(
        sum(o.place == d.place and o.arm == d.arm and o.measure == d.measure for o in differences)
        for d in differences
    )
    found = [
        f"With {count(least.seeds, 'seed')}, the sign-flip test cannot give a p below "
        f"{p(least.flip_least)}"
        + (f", or {p(min(1.0, tests * least.flip_least))} adjusted for {tests} pairs" * (tests > 1))
        + ("; so it cannot reach 0.05." if tests * least.flip_least > LEVEL else ".")
    ]
    if least.seeds < LEAST:
        found.append("Fewer than three seeds give no interval and no test: these are only numbers.")
    elif least.seeds < LEAST_BOOTSTRAP:
        found.append(
            f"A bootstrap interval lies within the values, and {count(least.seeds, 'value')} "
            f"enclose the true mean at most {100 - 100 * 2.0 ** (1 - least.seeds):.0f}% of the "
            "time. So the intervals are Student's, which assume normal differences."
        )
    known = [f.detectable for f in _top1(differences) if f.detectable]
    if known:
        found.append(
            "A true difference in top-1 is found in 80% of such studies, before any adjustment, "
            f"only if it is at least {number(min(known))}"
            + (f" to {number(max(known))}, depending on the pair" * (max(known) > min(known)))
            + "."
        )
    chance = sum(e.chance for e in explanations)
    if chance:
        found.append(
            "Runs at chance level count in the shares of switches, "
            "since a switch may be the reason."
        )
    return found


def _undecided(explanation: Explanation) -> str:
    """Say why no switch is named as the largest."""
    smaller = [effect for effect in explanation.effects if effect.distinguishable]
    if not smaller:
        return "No switch is distinguishable from the seeds as the reason."
    largest, other = explanation.effects[0], smaller[0]
    return (
        f"The share of {switch(largest)}, {number(largest.figure.mean, True)}, would be the "
        "largest, but it is not distinguishable from the seeds. The largest that is, is that of "
        f"{switch(other)}: {number(other.figure.mean, True)} (95% interval "
        f"{interval(other.figure, True)}{_aliased(other)})."
    )


def _of_native(d: Difference) -> str:
    pair, what = f"{title(d.a)} and {title(d.b)}", MEASURES[d.measure]
    if d.figure is None:
        return f"Native {pair} runs cannot be compared: no pair of them has learned."
    if d.differs:
        higher = title(d.a if d.figure.mean > 0 else d.b)
        within = ""
        if d.equivalent:
            within = f"; that is within ±{d.margin:g} (TOST p {_is(d.equivalence_p)})"
        size = number(abs(d.figure.mean))
        return (
            f"Native {pair} runs differ by {size} in {what} ({_facts(d)}), {higher} being higher"
            f"{within}."
        )
    if d.figure.is_nothing:
        return f"Native {pair} runs have the same {what} with each of {_seeds(d)}."
    if d.equivalent:
        return f"Native {pair} runs are equivalent in {what} {_within(d)}."
    return f"Native {pair} runs {_nothing(d)} in {what}: {_mean(d)} ({_facts(d)})."


def _of_aligned(d: Difference, native: Difference | None) -> str:
    also = native is not None and native.differs
    subject = "Aligned runs"
    if native is None:
        subject = f"Aligned {title(d.a)} and {title(d.b)} runs"
    if d.figure is None:
        return f"{subject} cannot be compared: no pair of them has learned."
    if d.figure.is_nothing:
        return f"{subject} have the same {MEASURES[d.measure]} with each of {_seeds(d)}."
    if d.differs and d.equivalent:
        return f"{subject} differ, but are equivalent {_within(d)}."
    if d.differs:
        size = number(abs(d.figure.mean))
        return f"{subject} differ{' too' * also}, by {size} ({_facts(d)})."
    if d.equivalent:
        return f"{subject} {'do not: they ' * also}are equivalent {_within(d)}."
    return f"{subject} {_nothing(d)}: {_mean(d)} ({_facts(d)})."


def _within(d: Difference) -> str:
    return f"within ±{d.margin:g} (TOST p {_is(d.equivalence_p)}; {_mean(d)}, {_facts(d)})"


def _nothing(d: Difference) -> str:
    stated = f", nor to be equivalent within ±{d.margin:g}" if d.margin is not None else ""
    return f"are not shown to differ{stated}"


def _mean(d: Difference) -> str:
    return f"difference {number(d.figure.mean, True)}" if d.figure is not None else ""


def _failed(d: Difference) -> list[str]:
    if d.failures_p is None:
        return []
    each = [f"{t.failed} of {t.runs} of {title(t.backend)}" for t in d.tallies]
    return [
        f"Left out are {d.arm} runs that stopped or are at chance level, {listed(each)} "
        f"(McNemar's p {_is(d.failures_p)})."
    ]


def _facts(d: Difference) -> str:
    around = interval(d.figure, True)
    return f"95% interval {around}; {_seeds(d)}" if around else _seeds(d)


def _seeds(d: Difference) -> str:
    return count(d.figure.seeds if d.figure is not None else 0, "seed")


def _is(value: float | None) -> str:
    text = p(value)
    return text if text.startswith("<") else f"= {text}"


def _aliased(effect: Effect) -> str:
    return f"; not told apart from {aliases(effect)}" if effect.aliases else ""


def _top1(differences: Iterable[Difference]) -> list[Figure]:
    return [d.figure for d in differences if d.measure == "top1" and d.figure is not None]


def _small(size: float) -> str:
    return "0" if size == 0 else f"{size:.1e}".replace("e-0", "e-")
