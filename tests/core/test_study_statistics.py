"""The statistics of studies, against other libraries, published examples and simulated truth."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studying import BACKENDS, VALUES, all_combinations, half, seeded, simulated

stats = pytest.importorskip("scipy.stats")  # of the extra that studies need

from zoo.comparing import bootstrap, statistics
from zoo.comparing.conditions import levels
from zoo.comparing.costs import costs
from zoo.comparing.designs import Design
from zoo.comparing.differences import differences
from zoo.comparing.effects import explain
from zoo.comparing.pairing import Runs, independent, status
from zoo.comparing.results import Condition, Trained
from zoo.comparing.variance import components, variance
from zoo.errors import InputError
from zoo.views.study import words

#: Student's soporific drugs, 1908: the hours of sleep that one gave more than the other.
SLEEP = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) - np.array(
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)
FACTORS = {"t": (0, {"a": 1}), "c": (0, {"a": 1}), "k": (0, {"a": 1})}


@pytest.mark.parametrize("count", [7, 8, 12])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_bca_is_scipys(count, confidence):
    x = seeded(count).exponential(size=count)
    found = bootstrap.bca(x, confidence)
    theirs = stats.bootstrap(
        (x,), np.mean, method="BCa", n_resamples=20_000, confidence_level=confidence, rng=seeded(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found == pytest.approx(tuple(theirs), abs=0.04 * width)


@given(
    st.lists(st.integers(-1000, 1000), min_size=3, max_size=7, unique=True),
    st.floats(0.1, 10),
    st.floats(-5, 5),
)
@settings(max_examples=25, deadline=None)
def test_an_interval_moves_with_the_values(values, scale, shift):
    x = np.array(values, float)
    moved = [scale * end + shift for end in bootstrap.bca(x)]
    assert bootstrap.bca(scale * x + shift) == pytest.approx(moved, rel=1e-6, abs=1e-6)
    assert x.min() <= bootstrap.bca(x)[0] <= bootstrap.bca(x)[1] <= x.max()


@pytest.mark.parametrize("count", [3, 7, 10])
def test_the_sign_flip_test_is_scipys(count):
    x = seeded(count).normal(0.4, 1, count)
    theirs = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    ).pvalue
    assert statistics.sign_flip(x) == (pytest.approx(theirs), True)


def test_beyond_fourteen_seeds_signs_are_random():
    x = seeded(3).normal(0.4, 1, 16)
    numbers = np.arange(2**16)[:, None] >> np.arange(16)
    means = (1 - 2.0 * (numbers & 1)) @ x
    exact = (np.abs(means) >= abs(x.sum()) - 1e-12).mean()
    found, counted = statistics.sign_flip(x)
    assert not counted and found == pytest.approx(exact, abs=4 * (exact / statistics.FLIPS) ** 0.5)


@pytest.mark.parametrize(("count", "least"), [(2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_few_seeds_cannot_give_a_small_p(count, least):
    figure = statistics.summarize(np.linspace(1, 1.1, count))
    assert figure.flip_p == figure.flip_least == least
    assert (figure.low is None) == (figure.t_p is None) == (count < 3)
    assert figure.method == ("" if count < 3 else "t" if count < 6 else "BCa")


def test_students_sleep():
    """R documents the paired t test of it, and TOSTER that it is not equivalent within 0.5."""
    figure = statistics.summarize(SLEEP)
    assert figure.t_p == pytest.approx(0.002833, abs=1e-6)
    assert figure.mean == pytest.approx(-1.58)
    theirs = stats.ttest_1samp(SLEEP, -0.5, alternative="greater")
    assert theirs.statistic == pytest.approx(-2.777, abs=1e-3)
    assert statistics.equivalence(SLEEP, 0.5) == pytest.approx(theirs.pvalue)
    assert statistics.equivalence(SLEEP[:2], 0.5) is None


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=9), st.floats(0.01, 1))
@settings(max_examples=25, deadline=None)
def test_tost_is_the_larger_of_two_tests(values, margin):
    x = np.array(values)
    if x.std() < 1e-6:
        return
    above = stats.ttest_1samp(x, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(x, margin, alternative="less").pvalue
    assert statistics.equivalence(x, margin) == pytest.approx(max(above, below), abs=1e-9)


def test_the_detectable_difference_is_that_of_gpower():
    """For d = 0.5 and a power of 80%, G*Power needs 34 pairs, and has 0.8077778 then."""
    assert statistics.power(0.5, 34) == pytest.approx(0.8077778, abs=1e-6)
    assert statistics.detectable(1.0, 34) < 0.5 < statistics.detectable(1.0, 33)
    assert statistics.detectable(2.0, 8) == pytest.approx(2 * statistics.detectable(1.0, 8))


def test_values_that_do_not_vary_show_nothing():
    """Top-1 of few images is a coarse measure: three equal differences are no proof of any."""
    figure = statistics.summarize([0.01] * 3)
    assert figure.low is figure.high is figure.t_p is None and figure.flip_p == 0.25
    assert statistics.equivalence([0.0] * 3, 0.01) is None
    assert statistics.summarize([0.0] * 3).is_nothing and not figure.is_nothing


def test_holm_is_that_of_r():
    """``p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")``."""
    found = statistics.holm([0.01, 0.02, 0.03, 0.04, 0.05])
    assert found == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


@pytest.mark.parametrize("count", [3, 5, 6, 8])
def test_intervals_have_the_stated_confidence(count):
    """The true mean is in 95% of them, where the plain bootstrap has 75 to 90%."""
    random = seeded(count)
    inside = sum(
        figure.low <= 0 <= figure.high
        for _ in range(400)
        for figure in [statistics.summarize(random.normal(size=count))]
    )
    assert inside >= 400 * 0.91


def test_chance_level_is_binomial():
    condition = Condition("m", "d", {}, frozenset(), 0, 0)
    limit = stats.binom.isf(0.01, 1000, 0.1) / 1000
    run = Trained(condition, "torch", {}, limit + 0.002, 2.0, images=(100,) * 10)
    assert status(run) == "learned" and status(replace(run, top1=limit - 0.002)) == "chance"
    uneven = replace(run, top1=0.5, images=(500, 300, 200))  # the largest class is half of them
    assert status(uneven) == "chance"
    assert status(replace(run, loss=float("nan"))) == status(replace(run, top1=None)) == "stopped"
    assert status(replace(run, top1=0.1, images=(), classes=(0.1,) * 10)) == "chance"


def factorial(table, names, backend="a", seed=0):
    """Runs of a table: the native switches, as letters -> the top-1."""
    return [
        Trained(
            Condition("m", "d", {}, frozenset(native), seed, seed),
            backend,
            {name: int(name in native) for name in names},
            value,
            value,
        )
        for native, value in table.items()
    ]


def test_the_pilot_plant():
    """Box, Hunter and Hunter: temperature, concentration and catalyst, all combinations."""
    table = {"": 60, "t": 72, "c": 54, "tc": 68, "k": 52, "tk": 83, "ck": 45, "tck": 80}
    found = explain(factorial(table, "tck"))[0]
    effects = {effect.name: effect.figure.mean for effect in found.effects}
    assert effects == pytest.approx({"t": 23, "c": -5, "k": 1.5})
    assert found.gap.mean == 20 and found.residual.mean == pytest.approx(0.5)  # that of all three
    assert found.designs == {"a": "all 8 combinations"}


def test_the_filtration_rate():
    """Montgomery: half of the combinations of four factors, with I = ABCD."""
    table = {"": 45, "ad": 100, "bd": 45, "ab": 65, "cd": 75, "ac": 60, "bc": 80, "abcd": 96}
    found = explain(factorial(table, "abcd"))[0]
    effects = {effect.name: effect.figure.mean for effect in found.effects}
    assert effects == pytest.approx({"a": 19, "b": 1.5, "c": 14, "d": 16.5})
    aliases = {effect.name: list(map(str, effect.aliases)) for effect in found.effects}
    assert aliases["a"] == ["b × c × d"] and aliases["d"] == ["a × b × c"]
    assert found.designs == {"a": "8 of 16 combinations, resolution IV"}


def test_a_quarter_has_resolution_three():
    rows = [frozenset(), frozenset("ab"), frozenset("ac"), frozenset("bc")]
    design = Design.of(rows, "abc")
    assert [str(alias) for alias in design.aliases()["a",]] == ["b × c"]
    assert "resolution III" in design.describe()


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_the_parts_add_up_to_the_gap(number, whole):
    random = seeded(number)
    design = all_combinations(VALUES) if whole else half(list(VALUES))
    runs = simulated(random, design=design, seeds=2, noise=0.1)
    for e in explain(runs):
        parts = e.aligned.mean + sum(x.figure.mean for x in e.effects) + e.residual.mean
        assert parts == pytest.approx(e.gap.mean, abs=1e-12)


def test_equal_values_are_one_run():
    """Whether it is listed once, or under each name that it has, it says the same."""
    runs = simulated(seeded(5), effects={"bn_momentum": -0.03}, seeds=3)
    listed = {(r.backend, tuple(r.values.values()), r.condition.weights_seed): r for r in runs}
    again = [
        replace(r, condition=replace(r.condition, native=native), values=values)
        for native, b, seed in itertools.product(all_combinations(VALUES), BACKENDS, range(3))
        for values in [{s: own[b] if s in native else base for s, (base, own) in VALUES.items()}]
        for r in [listed[b, tuple(values.values()), seed]]
    ]
    assert len(again) > len(runs)
    assert explain(again) == explain(runs) and differences(again) == differences(runs)
    pair = next(e for e in explain(runs) if (e.a, e.b) == ("torch", "keras"))
    inert = {effect.name: effect.inert for effect in pair.effects}
    assert inert["bn_momentum"] == ("torch",) and inert["initialization"] == ()
    own = next(e for e in explain(runs) if (e.a, e.b) == ("torch", ""))
    assert [effect.name for effect in own.effects] == ["initialization"]


def test_a_switch_that_changes_nothing_has_no_share():
    """What rounding leaves of it is nearly the same for every seed, and looks significant."""
    random, runs = seeded(0), []
    for seed in range(5):
        values = random.uniform(size=2)
        table = {tuple(native): values[int("t" in native)] for native in levels("tckdefg")}
        runs += factorial(table, "tckdefg", seed=seed)
    for e in explain(runs):
        assert [x.name for x in e.effects if not x.figure.is_nothing] == ["t"]
        assert e.largest is None


def test_a_small_share_is_not_the_largest_contributor():
    """If a larger one cannot be told from the seeds, nobody knows which is the largest."""
    runs = []
    for seed, (t, c) in enumerate([(0.3, 0.01), (-0.1, 0.011), (0.2, 0.012), (0.1, 0.011)]):
        runs += factorial({"": 0.5, "t": 0.5 + t, "c": 0.5 + c, "tc": 0.5 + t + c}, "tc", seed=seed)
    found = explain(runs)[0]
    assert [x.distinguishable for x in found.effects] == [False, True]
    assert found.largest is None
    said = words.because(found)
    assert said.startswith("The share of t, +0.125, would be the largest, but it is not dist")
    assert "The largest that is, is that of c: +0.011 (95% interval +0.0097 to +0.012)" in said


def test_switches_that_vary_together_are_one():
    design = [frozenset(each) for each in ((), ("t",), ("c", "k"), ("t", "c", "k"))]
    runs = simulated(seeded(1), values=FACTORS, design=design, backends=("a",), seeds=3)
    assert {effect.name for effect in explain(runs)[0].effects} == {"t", "c + k"}
    assert explain([r for r in runs if len(r.condition.native) in (0, 3)]) == []


def test_aligned_runs_must_be_aligned():
    runs = simulated(seeded(0), seeds=1)
    values = {**runs[0].values, "bn_momentum": 0.5}
    with pytest.raises(InputError, match="differ in bn_momentum"):
        Runs.split([replace(runs[0], values=values), *runs])


@pytest.mark.parametrize("switch", ["bn_momentum", "adam_epsilon", "bn_epsilon"])
def test_a_true_effect_is_named_as_the_largest(switch):
    runs = simulated(
        seeded(11), effects={switch: -0.02}, design=half(list(VALUES)), seeds=5, noise=0.003
    )
    for e in explain(runs):
        with_it = [b for b in (e.a, e.b) if b and VALUES[switch][1][b] != VALUES[switch][0]]
        if e.measure == "top1" and len(with_it) == 1:  # in both, it makes no gap
            assert e.largest is not None and e.largest.name == switch
            assert abs(e.largest.figure.mean) == pytest.approx(0.02, abs=0.006)


@pytest.mark.parametrize(
    ("studies", "seeds"), [(60, 5), pytest.param(600, 8, marks=pytest.mark.slow)]
)
def test_without_effects_nothing_is_named(studies, seeds):
    """In one study of 20, a switch may be named by mistake: Holm's method holds that."""
    random = seeded(2)
    named = 0
    for _ in range(studies):
        runs = simulated(random, values=FACTORS, backends=("a",), seeds=seeds, classes=2)
        named += explain(runs)[0].largest is not None
    assert named <= stats.binom.isf(0.01, studies, 0.05)


@pytest.mark.parametrize("studies", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_differences_that_are_not_there(studies):
    """In one table of 20, a pair of four equal frameworks may be said to differ."""
    random = seeded(4)
    said = equal = 0
    for _ in range(studies):
        runs = simulated(random, values={}, design=[frozenset()], seeds=5, noise=0.002, classes=2)
        found = [d for d in differences(runs, {"top1": 0.01}) if d.measure == "top1"]
        assert len(found) == 6 and {d.arm for d in found} == {"aligned"}
        said += any(d.differs for d in found)
        equal += sum(d.equivalent for d in found)
    assert said <= stats.binom.isf(0.01, studies, 0.05)
    assert equal > 0.9 * 6 * studies


def test_equivalence_is_not_said_at_the_margin():
    """Of runs that differ by the margin, one in 20 is called equivalent."""
    random = seeded(8)
    wrong = 0
    for _ in range(80):
        runs = simulated(
            random, values={"t": (0, {"a": 1, "b": 0})}, effects={"t": 0.01}, backends=("a", "b"),
            seeds=5, classes=2,
        )  # fmt: skip
        found = [d for d in differences(runs, {"top1": 0.01}) if d.measure == "top1"]
        wrong += next(d for d in found if d.arm == "native").equivalent
    assert wrong <= stats.binom.isf(0.01, 80, 0.05)


def test_what_failed_is_counted_apart():
    runs = simulated(seeded(6), effects={"bn_momentum": -0.03}, seeds=6)
    native = frozenset(VALUES)

    def fail(run):
        c = run.condition
        if run.backend == "keras" and c.native == native and c.weights_seed == 0:
            return replace(run, top1=None, loss=None, stopped="the loss was not finite")
        if run.backend == "keras" and c.native == native and c.weights_seed == 1:
            return replace(run, top1=0.1, loss=2.3)
        return run

    whole = {(d.arm, d.measure, d.a, d.b): d for d in differences(runs)}
    found = {(d.arm, d.measure, d.a, d.b): d for d in differences(map(fail, runs))}
    hit, same = found["native", "top1", "torch", "keras"], ("aligned", "top1", "torch", "keras")
    assert hit.figure.seeds == 4 and found[same] == whole[same]
    assert (hit.tallies[1].stopped, hit.tallies[1].chance, hit.tallies[0].failed) == (1, 1, 0)
    assert hit.failures_p == 0.5 and whole["native", "top1", "torch", "keras"].failures_p is None
    keras = next(e for e in explain(map(fail, runs)) if (e.a, e.b) == ("keras", ""))
    assert keras.stopped == keras.chance == 1
    assert keras.gap.seeds == 5 and keras.gap.low < -0.1  # that at chance level counts here


def test_a_grid_is_averaged_within_seeds():
    grid = ({"lr": 0.1}, {"lr": 0.01})
    runs = simulated(seeded(9), effects={"bn_momentum": -0.03}, seeds=4, grid=grid)
    found = {
        str(d.place): d.figure.mean
        for d in differences(runs)
        if (d.arm, d.measure, d.a, d.b) == ("native", "top1", "torch", "keras")
    }
    assert len(found) == 3
    mean, first, second = found.values()
    assert mean == pytest.approx((first + second) / 2)
    shares = [e for e in explain(runs) if (e.measure, e.a, e.b) == ("top1", "torch", "keras")]
    assert [e.largest.name for e in shares] == ["bn_momentum"] * 3


def test_a_seed_is_used_once():
    pairs = [(w, o) for w in range(4) for o in range(4)]
    chosen = independent(pairs)
    assert chosen == [(n, n) for n in range(4)]
    runs = simulated(seeded(0), seeds=4, crossed=True, values={}, design=[frozenset()])
    assert {d.figure.seeds for d in differences(runs)} == {4}


def test_classes_are_compared_one_by_one():
    runs = [
        replace(r, classes=(r.classes[0] - 0.3 * (r.backend == "flax"), *r.classes[1:]))
        for r in simulated(seeded(3), values={}, design=[frozenset()], seeds=6)
    ]
    d = next(d for d in differences(runs) if (d.measure, d.a, d.b) == ("top1", "torch", "flax"))
    assert d.classes[0].mean == pytest.approx(0.3, abs=0.02)
    assert d.class_holm[0] < 0.01 and min(d.class_holm[1:]) > 0.05


def test_the_dyestuff():
    """Davies' batches of dyestuff: lme4 documents 1764 between them, and 2451 within."""
    table = np.array(
        [
            [1545, 1440, 1440, 1520, 1580],
            [1540, 1555, 1490, 1560, 1495],
            [1595, 1550, 1605, 1510, 1560],
            [1445, 1440, 1595, 1465, 1545],
            [1595, 1630, 1515, 1635, 1625],
            [1520, 1455, 1450, 1480, 1445],
        ],
        float,
    )
    found = components(table, ("batch",))
    assert found["batch",] == pytest.approx(1764, abs=0.1)
    assert found[()] == pytest.approx(2451.25, abs=0.01)


def test_components_are_unbiased():
    """Of three crossed factors with all their interactions, and repeats."""
    random = seeded(7)
    truth = {("w",): 4.0, ("o",): 2.0, ("f",): 1.0, ("w", "o"): 3.0, ("w", "o", "f"): 1.0, (): 0.5}
    sizes = {"w": 5, "o": 4, "f": 3}
    sums: dict = {}
    for _ in range(400):
        table = np.zeros((5, 4, 3, 2))
        for term, v in truth.items():
            shape = [n if f in term else 1 for f, n in sizes.items()]
            table = table + random.normal(
                0, v**0.5, [*(shape if term else (5, 4, 3)), 1 if term else 2]
            )
        for term, estimate in components(table, tuple(sizes)).items():
            sums.setdefault(term, []).append(estimate)
    for term, found in sums.items():
        error = np.std(found) / len(found) ** 0.5
        assert np.mean(found) == pytest.approx(truth.get(term, 0), abs=4 * error + 1e-12)


def test_sources_of_variance_are_told_apart():
    runs = simulated(
        seeded(1), values={}, design=[frozenset()], seeds=12, crossed=True, noise=0.002,
        deviations=(0.012, 0.004), classes=2,
    )  # fmt: skip
    found = next(v for v in variance(runs) if v.measure == "top1")
    parts = {c.name: c for c in found.components}
    assert found.crossed and found.runs == 4 * 144
    assert all(c.low <= c.variance <= c.high for c in found.components)
    assert parts["framework"].share < 0.01 and parts["initial weights"].share > 0.6
    assert sum(c.share for c in found.components) == pytest.approx(1)
    assert all((c.variance == 0) for c in found.components if c.negative)


@pytest.mark.slow
def test_intervals_of_components():
    """Those of seeds hold the truth in 85% of studies or more: they are of eight levels each."""
    random = seeded(5)
    inside = 0
    for _ in range(100):
        runs = simulated(
            random, values={}, design=[frozenset()], seeds=8, crossed=True, noise=0.004, classes=2
        )
        found = next(v for v in variance(runs) if v.measure == "top1")
        inside += found.components[0].low <= 0.006**2 <= found.components[0].high
    assert inside >= 0.85 * 100


def test_kernel_noise_and_the_cost_of_determinism_come_from_repeats():
    runs = simulated(seeded(2), values={}, design=[frozenset()], seeds=6, repeats=4, classes=2)
    found = next(v for v in variance(runs) if v.measure == "top1")
    noise = {c.name: c for c in found.components}["kernel noise"]
    assert noise.low <= 0.004**2 <= noise.high and not found.crossed
    listed = costs(runs)
    assert [c.backend for c in listed] == list(BACKENDS)
    assert all(c.low <= 1.3 <= c.high for c in listed)
