"""Two studies to report: one with an effect and failures, and a small one without."""

from __future__ import annotations

from dataclasses import replace

import pytest
from studying import BACKENDS, VALUES, half, seeded, simulated

from zoo.views.study.report import Study

SETTINGS = {
    "models": ["resnet20"],
    "data": ["fashion-mnist"],
    "backends": list(BACKENDS[:3]),
    "seeds": list(range(6)),
    "switches": list(VALUES),
    "margin": 0.01,
    "epochs": 3,
    "lr": 0.05,
    "optimizer": "adam",
    "nesterov": False,
    "machine": {"processor": "a processor"},
    "threads": 1,
    "command": "zoo compare <resnet20>",
}


@pytest.fixture(scope="module")
def study():
    """The momentum of batch norm makes Keras worse; a run stopped, and one is at chance level."""
    runs = simulated(
        seeded(0), effects={"bn_momentum": -0.03}, design=half(list(VALUES)), seeds=6, repeats=2,
        noise=0.002, steps=40, backends=BACKENDS[:3],
    )  # fmt: skip
    own = {name: native["paddle"] for name, (_, native) in VALUES.items()}
    first, second = [k for k, r in enumerate(runs) if (r.backend, r.values) == ("paddle", own)][:2]
    why = "the loss of step 7 is <nan>"
    runs[first] = replace(runs[first], top1=0.1, loss=2.3)
    runs[second] = replace(runs[second], top1=None, loss=None, stopped=why)
    return Study(SETTINGS, runs)


@pytest.fixture(scope="module")
def small():
    """Three seeds of two frameworks, aligned, without a margin."""
    runs = simulated(
        seeded(1), values={}, design=[frozenset()], backends=("torch", "keras"), seeds=3
    )
    return Study({"models": ["resnet20"]}, runs)
