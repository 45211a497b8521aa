"""Runs of studies whose truth is known, because random numbers with stated effects made them."""

from __future__ import annotations

import itertools
import math

import numpy as np

from zoo.comparing.results import Condition, Trained

BACKENDS = ("torch", "paddle", "keras", "flax")
#: What is native in each; in PyTorch, all but the initialization is as it is aligned.
VALUES = {
    "initialization": ("he", {"torch": "kaiming", "paddle": "xavier", "keras": "glorot", "flax": "lecun"}),
    "bn_momentum": (0.9, {"torch": 0.9, "paddle": 0.9, "keras": 0.99, "flax": 0.99}),
    "bn_epsilon": (1e-5, {"torch": 1e-5, "paddle": 1e-5, "keras": 1e-3, "flax": 1e-5}),
    "adam_epsilon": ("outside", {"torch": "outside", "paddle": "hat", "keras": "hat", "flax": "outside"}),
}  # fmt: skip


def all_combinations(switches):
    return [
        frozenset(s for s, on in zip(switches, each, strict=True) if on)
        for each in itertools.product((False, True), repeat=len(switches))
    ]


def half(switches):
    """The half fraction with an even number of native switches, and all of them."""
    found = [levels for levels in all_combinations(switches) if len(levels) % 2 == 0]
    return list(dict.fromkeys([*found, frozenset(switches)]))


def simulated(
    random,
    *,
    effects=None,
    values=None,
    design=None,
    backends=BACKENDS,
    seeds=5,
    grid=({},),
    crossed=False,
    repeats=0,
    noise=0.004,
    deviations=(0.006, 0.006),
    model="resnet20",
    data="fashion-mnist",
    classes=10,
    steps=0,
):
    """Runs of a study, as ``zoo compare`` makes them.

    ``effects`` gives, for a switch, by how much its native value changes the top-1 of a run; of a
    backend whose own value is the aligned one, it changes nothing. A combination that is equal to
    another in a backend is run once. ``deviations`` are those of weights and orders, which are the
    same in all backends; ``noise`` is that of each run.
    """
    effects, values = effects or {}, VALUES if values is None else values
    pairs = [(w, o) for w in range(seeds) for o in range(seeds) if crossed or w == o]
    by_weights = random.normal(0, deviations[0], seeds)
    by_order = random.normal(0, deviations[1], seeds)
    by_class = random.normal(0, 0.05, classes)
    runs = []
    for (w, o), point, backend in itertools.product(pairs, grid, backends):
        seen = set()
        for native in all_combinations(values) if design is None else design:
            held = {
                s: own[backend] if s in native else aligned for s, (aligned, own) in values.items()
            }
            if tuple(held.values()) in seen:
                continue
            seen.add(tuple(held.values()))
            different = [s for s in held if held[s] != values[s][0]]
            kinds = [(0, True)] + [(n, False) for n in range(repeats) if not native]
            for repeat, deterministic in kinds:
                top1 = (
                    0.85 + by_weights[w] + by_order[o] + sum(effects.get(s, 0.0) for s in different)
                )
                top1 += random.normal(0, noise)
                loss = 0.5 - 3 * (top1 - 0.85)
                runs.append(
                    Trained(
                        Condition(model, data, point, native, w, o, repeat, deterministic),
                        backend,
                        held,
                        float(top1),
                        float(loss),
                        classes=tuple(
                            (top1 + by_class + random.normal(0, 0.004, classes)).tolist()
                        ),
                        losses=tuple(
                            2.3 * math.exp(-s / steps * 3) + 0.2 + float(random.normal(0, 0.03))
                            for s in range(steps)
                        ),
                        seconds=float(
                            10 * (1.3 if deterministic else 1.0) * random.uniform(0.97, 1.03)
                        ),
                        versions={"python": "3.11"},
                        images=(100,) * classes,
                    )
                )
    return runs


def seeded(number):
    return np.random.default_rng(number)
