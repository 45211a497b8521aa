"""The paragraph on methods: what was really done, in words that a paper can use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.comparing.differences import Difference
from zoo.comparing.effects import Explanation
from zoo.comparing.pairing import ALIGNED, NATIVE, status
from zoo.comparing.results import Trained
from zoo.comparing.statistics import Figure
from zoo.comparing.variance import KERNELS, Variance
from zoo.views.study import settings as reading
from zoo.views.study import words

#: Packages that are named in the text; all others are in the table.
_NAMED = ("torch", "paddlepaddle", "keras", "tensorflow", "jax", "flax", "numpy", "polyzoo")


def paragraph(
    settings: Mapping[str, Any],
    runs: Sequence[Trained],
    differences: Sequence[Difference],
    explanations: Sequence[Explanation],
    variances: Sequence[Variance],
) -> str:
    """Return the text; what was not done is not in it.

    Args:
        settings: Of the study.
        runs: All of them.
        differences, explanations, variances: What the report shows.
    """
    sentences = [
        _trained(runs),
        _seeds(runs),
        _recipe(settings, runs),
        _arms(runs, differences),
        *proofs(settings),
        _determinism(runs, variances),
        _designs(explanations),
        _intervals(differences, explanations),
        _tests(differences, explanations),
        _equivalence(differences),
        _variance(variances),
        _failures(runs, explanations),
        _versions(settings, runs),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def proofs(settings: Mapping[str, Any]) -> list[str]:
    """Say how far apart the first steps of aligned training were, if that was measured.

    Example:
        >>> proofs({"proofs": [{"steps": 10, "error": 2e-13}]})
        ['In float64, the weights and running statistics of aligned training differed by at most \
2.0e-13, relative to the largest, in the first 10 steps.']
    """
    listed = [p for p in settings.get("proofs") or () if p.get("steps")]
    if not listed:
        return []
    worst = max(float(p["error"]) for p in listed)
    steps = min(int(p["steps"]) for p in listed)
    return [
        "In float64, the weights and running statistics of aligned training differed by at most "
        f"{worst:.1e}, relative to the largest, in the first {words.count(steps, 'step')}."
    ]


def _trained(runs: Sequence[Trained]) -> str:
    models = list(dict.fromkeys(run.condition.model for run in runs))
    data = list(dict.fromkeys(run.condition.data for run in runs))
    backends = list(dict.fromkeys(words.title(run.backend) for run in runs))
    images = {sum(run.images) for run in runs if run.images}
    validated = f", and validated on {max(images):,} images" if len(images) == 1 else ""
    return (
        f"We trained {words.listed(models)} on {words.listed(data)} in {words.listed(backends)}: "
        f"{words.count(len(runs), 'run')}{validated}."
    )


def _seeds(runs: Sequence[Trained]) -> str:
    pairs = {(run.condition.weights_seed, run.condition.order_seed) for run in runs}
    weights, orders = ({pair[i] for pair in pairs} for i in (0, 1))
    if len(pairs) > max(len(weights), len(orders)):
        return (
            f"We used {words.count(len(weights), 'seed')} of initial weights and "
            f"{words.count(len(orders), 'seed')} of the order of the data, in "
            f"{words.count(len(pairs), 'combination')}, the same for all frameworks; where runs "
            "are compared in pairs, no seed is used twice."
        )
    return (
        f"We used {words.count(len(pairs), 'seed')}, each for the initial weights and the order of "
        "the data, the same for all frameworks."
    )


def _recipe(settings: Mapping[str, Any], runs: Sequence[Trained]) -> str:
    recipe = reading.recipe(settings)
    steps = {len(run.losses) for run in runs if run.losses and status(run) != "stopped"}
    parts = [f"{name.replace('_', ' ')} {value}" for name, value in recipe.items()]
    grids: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in run.condition.grid.items():
            grids.setdefault(name, {})[str(value)] = None
    varied = [
        f"{name.replace('_', ' ')} from {words.listed(list(values))}"
        for name, values in grids.items()
        if len(values) > 1
    ]
    text = ""
    if parts:
        text = f"The recipe of all runs was {', '.join(parts)}"
        text += f" ({words.count(max(steps), 'step')})." if len(steps) == 1 else "."
    if varied:
        text += f" We varied {words.listed(varied)}."
    return text.strip()


def _arms(runs: Sequence[Trained], differences: Sequence[Difference]) -> str:
    arms = {d.arm for d in differences}
    parts = []
    if ALIGNED in arms:
        text = "In aligned runs, all frameworks had the same value of every switch"
        same = _same_batches(runs)
        parts.append(
            f"{text}{'; the hashes of their first batches were equal' if same else ''}."
        )  # fmt: skip
    if NATIVE in arms:
        values: dict[str, set[str]] = {}
        for run in runs:
            for name, value in run.values.items():
                values.setdefault(name, set()).add(str(value))
        switches = [name.replace("_", " ") for name, found in values.items() if len(found) > 1]
        named = words.listed(switches)
        parts.append(f"In native runs, each framework had its own default of {named}.")
    return " ".join(parts)


def _same_batches(runs: Sequence[Trained]) -> bool:
    """Whether aligned runs of the same seed were given the same batches."""
    found: dict[Any, set[tuple[str, ...]]] = {}
    compared: dict[Any, set[str]] = {}
    for run in runs:
        c = run.condition
        if run.digests and not c.native:
            key = (c.model, c.data, str(sorted(c.grid.items())), c.order_seed)
            found.setdefault(key, set()).add(tuple(run.digests))
            compared.setdefault(key, set()).add(run.backend)
    several = [key for key, backends in compared.items() if len(backends) > 1]
    return bool(several) and all(len(found[key]) == 1 for key in found)


def _determinism(runs: Sequence[Trained], variances: Sequence[Variance]) -> str:
    kinds = [run.condition.deterministic for run in runs]
    if all(kinds):
        return "The frameworks were asked for deterministic kernels."
    if not any(kinds):
        return "The frameworks were not asked for deterministic kernels."
    noise = any(c.name == KERNELS for v in variances for c in v.components)
    purposes = ["the noise of kernels"] * noise + ["the cost of determinism"]
    return (
        "The frameworks were asked for deterministic kernels, but for "
        f"{kinds.count(False):,} runs, from which {words.listed(purposes)} "
        f"{'is' if len(purposes) == 1 else 'are'} estimated."
    )


def _designs(explanations: Sequence[Explanation]) -> str:
    if not explanations:
        return ""
    designs: dict[str, dict[str, None]] = {}
    for e in explanations:
        for backend, text in e.designs.items():
            designs.setdefault(text, {})[words.title(backend)] = None
    listed = "; ".join(f"{', '.join(backends)}: {text}" for text, backends in designs.items())
    return (
        "The share of a switch in the gap between native runs is the mean difference between runs "
        "with it native and with it aligned, by least squares for each seed, over these "
        f"combinations of the switches that make a difference there ({listed})."
    )


def _intervals(differences: Sequence[Difference], explanations: Sequence[Explanation]) -> str:
    figures = _figures(differences, explanations)
    methods = {f.method for f in figures if f.method}
    known = {
        "BCa": "bias-corrected and accelerated bootstrap intervals (BCa, widened for few seeds)",
        "t": "intervals of Student's t",
    }
    if not methods:
        return "So few seeds give no intervals."
    named = words.listed([text for name, text in known.items() if name in methods])
    return f"Differences are paired by seed; with their means we give 95% {named} over the seeds."


def _tests(differences: Sequence[Difference], explanations: Sequence[Explanation]) -> str:
    figures = _figures(differences, explanations)
    if not any(f.t_p is not None for f in figures):
        return ""
    flips = {f.exact for f in figures}
    flip = "exact " if flips == {True} else "Monte Carlo " if flips == {False} else ""
    over = ["pairs of frameworks"] * (len({(d.a, d.b) for d in differences}) > 1)
    over += ["switches"] * bool(explanations)
    holm = f", adjusted by Holm's method over the {words.listed(over)} of a table" if over else ""
    return (
        "We call a difference distinguishable from the seeds if its interval excludes 0, and the "
        f"p of the paired t test{holm}{',' * bool(holm)} is below 0.05; we also report the p of "
        f"{'an' if flip == 'exact ' else 'a'} {flip}sign-flip test."
    )


def _equivalence(differences: Sequence[Difference]) -> str:
    margins = {
        d.measure: d.margin
        for d in differences
        if d.margin is not None and d.equivalence_p is not None
    }
    if not margins:
        return ""
    listed = words.listed([f"±{m:g} in {words.MEASURES[k]}" for k, m in margins.items()])
    return (
        "We call frameworks equivalent if two one-sided paired t tests (TOST, level 0.05) and the "
        f"95% interval place the difference within a margin of {listed}."
    )


def _variance(variances: Sequence[Variance]) -> str:
    if not variances:
        return ""
    crossed = any(v.crossed for v in variances)
    factors = "initial weights, order of the data" if crossed else "seed"
    return (
        "Variance components are from the analysis of variance of crossed random factors "
        f"({factors} and framework), by the method of moments; negative estimates are shown as 0."
    )


def _failures(runs: Sequence[Trained], explanations: Sequence[Explanation]) -> str:
    kinds = [status(run) for run in runs]
    stopped, chance = kinds.count("stopped"), kinds.count("chance")
    if not stopped + chance:
        return ""
    parts = [f"{chance:,} at chance level (binomial, p ≥ 0.01)"] * bool(chance)
    parts += [f"{stopped:,} that stopped without a result"] * bool(stopped)
    verb = "is" if stopped + chance == 1 else "are"
    shares = "; those at chance level count in the shares of switches"
    return (
        f"Of the runs, {words.listed(parts)} {verb} counted apart, and in no difference of "
        f"frameworks{shares if any(e.chance for e in explanations) else ''}."
    )


def _versions(settings: Mapping[str, Any], runs: Sequence[Trained]) -> str:
    found = reading.versions(settings, runs)
    named = [f"{package} {found[package]}" for package in _NAMED if package in found]
    machine = settings.get("machine") or {}
    processor = machine.get("processor") if isinstance(machine, Mapping) else None
    threads = settings.get("threads")
    text = f"Versions: {', '.join(named)}." if named else ""
    if processor:
        text += f" The runs used {processor}"
        text += f", with {words.count(threads, 'thread')} each." if threads else "."
    return text.strip()


def _figures(
    differences: Sequence[Difference], explanations: Sequence[Explanation]
) -> list[Figure]:
    found = [d.figure for d in differences if d.figure is not None]
    return found + [effect.figure for e in explanations for effect in e.effects]
