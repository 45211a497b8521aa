"""Differences between frameworks and sources of variance, against published examples and simulated truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from studying import BACKENDS, VALUES, seeded, simulated

from zoo.comparing.costs import costs
from zoo.comparing.differences import differences
from zoo.comparing.effects import explain
from zoo.comparing.pairing import independent
from zoo.comparing.variance import components, variance


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
