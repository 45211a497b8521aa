"""What explains a gap between frameworks: against published experiments and simulated truth."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from studying import BACKENDS, VALUES, all_combinations, half, seeded, simulated

from zoo.comparing.conditions import levels
from zoo.comparing.designs import Design
from zoo.comparing.differences import differences
from zoo.comparing.effects import explain
from zoo.comparing.pairing import Runs
from zoo.comparing.results import Condition, Trained
from zoo.errors import InputError
from zoo.views.study import words

FACTORS = {"t": (0, {"a": 1}), "c": (0, {"a": 1}), "k": (0, {"a": 1})}


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
