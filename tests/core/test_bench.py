"""The instrument: honest measurements pass, and unfair ones are named, whoever makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zoo.backend.workloads import Workload
from zoo.benchmarking import harness, machine
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.harness import Limits, measure
from zoo.benchmarking.results import Measured, Verdict

CELL = Cell("toy", "torch", "eager", "cpu", "float32", 2, "forward")
WEIGHTS = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)


class Clock:
    """Time that passes only when somebody works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Honest(Workload):
    """A matrix product that takes 10 ms, after a first call of a second."""

    cost = 0.010

    def __init__(self, clock, **facts):
        self.clock, self.calls = clock, 0
        self.reported = {
            "dtype": "float32",
            "training": False,
            "compiled": False,
            "given": "NCHW",
            "computed": "NCHW",
            "device": "cpu",
            "tf32": False,
            "threads": 2,
            **facts,
        }

    def place(self, x, labels):
        return x.reshape(len(x), -1)

    def run(self, given):
        self.calls += 1
        self.clock.now += self.duration()
        return self.compute(given)

    def duration(self):
        return 1.0 if self.calls == 1 else self.cost

    def compute(self, given):
        return given @ WEIGHTS

    def wait(self, result):
        pass

    def read(self, result):
        self.clock.now += 0.0001
        return {"logits": result}

    def facts(self):
        return self.reported


class Reference:
    scale = 1.0

    def __init__(self, inputs):
        product = [x.reshape(len(x), -1).astype(np.float64) @ WEIGHTS for x, _ in inputs]
        self.expected = product

    def compare(self, found, which):
        from zoo.verification.comparison import error

        return Verdict(error(found["logits"], self.expected[which]), 1e-5, "output logits")


def inputs(batch=2):
    x = np.random.default_rng(1).standard_normal((2, 3, 2, 2)).astype(np.float32)
    found = [(x[[(row + which) % 2 for row in range(batch)]], np.arange(batch)) for which in (0, 1)]
    return [*found, (found[0][0] * np.float32(0.5), np.arange(batch))]


def measured(kind, cell=CELL, **facts):
    clock = Clock()
    given = inputs(cell.batch)
    return measure(
        lambda: kind(clock, **facts),
        cell,
        given,
        Reference(given),
        threads=2,
        limits=Limits(),
        clock=clock,
    )


def test_an_honest_cell_has_times_and_its_first_call_apart():
    found = measured(Honest)
    assert not found.problems and not found.remarks
    assert found.seconds["first"] == pytest.approx(1.0)
    assert len(found.times) == 100 and set(np.round(found.times, 6)) == {0.01}
    assert found.proof.passed and found.seconds["timed"] == pytest.approx(1.0)
    assert found.peak["run"] is None or found.peak["run"] >= 0


class NoWaiting(Honest):
    """It returns at once, and computes when the result is read."""

    def duration(self):
        return 0.0005

    def compute(self, given):
        return [given, False]

    def read(self, result):
        if not result[1]:
            result[1] = True
            self.clock.now += self.cost
        return super().read(result[0] @ WEIGHTS)


class Falling(Honest):
    """It becomes faster with every call."""

    def duration(self):
        return 2.0 * 0.9**self.calls


class Cached(Honest):
    """It returns what it computed first."""

    kept = None

    def compute(self, given):
        self.kept = given @ WEIGHTS if self.kept is None else self.kept
        return self.kept


class Remembering(Honest):
    """It returns at once what it has seen before."""

    def __init__(self, clock, **facts):
        super().__init__(clock, **facts)
        self.seen = {}

    def run(self, given):
        key = given.tobytes()
        if key not in self.seen:
            self.clock.now += self.cost
            self.seen[key] = given @ WEIGHTS
        self.clock.now += 1e-5
        return self.seen[key]


class HalfPrecision(Honest):
    def compute(self, given):
        return (given.astype(np.float16) @ WEIGHTS.astype(np.float16)).astype(np.float32)


class Training(Honest):
    """Batch statistics, as of a batch norm in training mode."""

    def compute(self, given):
        return (given - given.mean(0)) @ WEIGHTS


class OtherBatch(Honest):
    def compute(self, given):
        return given[:1] @ WEIGHTS


@pytest.mark.parametrize(
    ("name", "kind", "facts"),
    [
        ("no waiting", NoWaiting, {}),
        ("TF32", Honest, {"tf32": True}),
        ("threads", Honest, {"threads": 1}),
        ("mode", Honest, {"compiled": True}),
        ("dtype", Honest, {"dtype": "bfloat16"}),
        ("results differ", HalfPrecision, {}),
        ("train mode", Honest, {"training": True}),
        ("results differ", Training, {}),
        ("layout", Honest, {"computed": "NHWC"}),
        ("batch", OtherBatch, {}),
        ("cached outputs", Cached, {}),
        ("cached outputs", Remembering, {}),
        ("device", Honest, {"device": "cuda"}),
    ],
)
def test_an_unfairness_is_named_and_has_no_time(name, kind, facts):
    found = measured(kind, **facts)
    assert any(problem.startswith(name) for problem in found.problems), found
    assert found.times == ()
    assert Measured(CELL, (found,)).time is None


def test_a_warm_up_ends_when_times_settle_and_says_if_they_do_not():
    falling = measured(Falling)
    assert any(remark.startswith("warm-up") for remark in falling.remarks)

    class Slow(Honest):  # until the 12th run
        def duration(self):
            return 1.0 if self.calls == 1 else max(0.01, 0.1 * 0.8**self.calls)

    found = measured(Slow)
    assert not found.remarks and max(found.times) < 0.011
    assert found.seconds["warmup"] > 0.1


def test_more_processors_than_stated_are_named():
    assert machine.Usage(1.9, 0).own < 2
    from zoo.benchmarking import audit

    assert audit.of_processors(1.9, 2) == []
    assert audit.of_processors(3.9, 2)[0].startswith("threads")


@pytest.mark.parametrize("mode", ["eager", "torch.compile"])
def test_eager_cannot_stand_for_compiled(mode):
    """In either direction."""
    found = measured(Honest, replace(CELL, mode=mode), compiled=mode == "eager")
    assert any(problem.startswith("mode") for problem in found.problems)


def test_limits_bound_the_runs():
    clock = Clock()
    given = inputs()
    limits = Limits(least=3, most=4, seconds=9)
    found = harness.measure(
        lambda: Honest(clock), CELL, given, Reference(given), threads=2, limits=limits, clock=clock
    )
    assert len(found.times) == 4
