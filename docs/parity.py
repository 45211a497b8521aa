"""Writes the tables of parity in docs/training.md: python docs/parity.py (some minutes).

It trains the network of parity.yaml on the digits, in float64 on a CPU: a hundred steps in each
framework, and for each two frameworks a run that is stopped in one and resumed in the other.
"""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import numpy as np

import zoo
from zoo.backend import registry
from zoo.training import state as states
from zoo.training.events import Step

HERE = Path(__file__).resolve().parent
FRAMEWORKS = ("torch", "paddle", "keras", "flax")
TITLES = {name: registry.resolve(name).title for name in FRAMEWORKS}
PACKAGES = ("torch", "paddlepaddle", "keras", "tensorflow", "flax", "jax")
COMMON: dict[str, Any] = {
    "batch_size": 32,
    "schedule": "cosine",
    "warmup": 0.5,
    "label_smoothing": 0.1,
    "clip_norm": 1.0,
    "ema": 0.9,
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
    "Adam": {"optimizer": "adam", "lr": 0.01},
    "AdamW": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
}
#: A run that moves: where it stops, and how many steps it has.
STOP, STEPS = 10, 20
Arrays = dict[str, Any]


def digits(steps: int) -> dict[str, Any]:
    """Digits for a number of steps an epoch, and 40 to validate with."""
    whole = zoo.dataset("digits")
    count = steps * COMMON["batch_size"]
    return {
        "x_train": np.stack([whole.train.images[i] for i in range(count)]),
        "y_train": whole.train.labels[:count],
        "x_test": np.stack([whole.validation.images[i] for i in range(40)]),
        "y_test": whole.validation.labels[:40],
    }


def train(folder: Path, backend: str, stop: int | None = None, **settings: Any) -> Arrays:
    """Train two epochs, or up to a step; return all that there is at the end."""
    model = zoo.build(HERE / "parity.yaml", backend, dtype="float64", aux=True)
    zoo.train(
        model,
        digits(settings.pop("steps")),
        output=folder,
        epochs=2,
        callbacks=[lambda event: isinstance(event, Step) and event.step == stop],
        **COMMON,
        **settings,
    )
    return final(folder)


def final(folder: Path) -> Arrays:
    """Weights, running statistics, slots and averages of the last checkpoint of a run."""
    saved = states.read(max((folder / "checkpoints").iterdir()))
    stored = {**saved.weights.arrays, **saved.slots}
    return {name: array.read() for name, array in stored.items()}


def apart(found: Arrays, expected: Arrays) -> float:
    """The largest difference of two states, relative to the largest value of its kind."""
    largest: dict[str, float] = {}
    for name, value in expected.items():
        kind = name.rpartition("/")[0]
        largest[kind] = max(largest.get(kind, 0.0), float(np.abs(value).max()))
    return max(
        float(np.abs(found[name] - value).max()) / largest[name.rpartition("/")[0]]
        for name, value in expected.items()
    )


def hundred(folder: Path) -> str:
    """The table of two frameworks after a hundred steps."""
    lines = ["| after 100 steps | " + " | ".join(OPTIMIZERS) + " |", "|---|--:|--:|--:|"]
    ends: dict[tuple[str, str], Arrays] = {}
    for backend, (name, settings) in itertools.product(FRAMEWORKS, OPTIMIZERS.items()):
        say(f"100 steps of {name} in {TITLES[backend]}")
        ends[backend, name] = train(folder / f"{backend}-{name}", backend, steps=50, **settings)
    for a, b in itertools.combinations(FRAMEWORKS, 2):
        cells = [f"{apart(ends[b, name], ends[a, name]):.1e}" for name in OPTIMIZERS]
        lines.append(f"| {TITLES[a]} and {TITLES[b]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def moved(folder: Path) -> str:
    """The table of runs that were stopped in one framework and resumed in another."""
    worst: dict[tuple[str, str], float] = {}
    for first, (name, settings) in itertools.product(FRAMEWORKS, OPTIMIZERS.items()):
        whole = train(folder / "whole", first, steps=STEPS // 2, **settings)
        train(folder / "stopped", first, stop=STOP, steps=STEPS // 2, **settings)
        for second in FRAMEWORKS:
            say(f"{name} from {TITLES[first]} to {TITLES[second]}")
            shutil.copytree(folder / "stopped", folder / "moved")
            zoo.resume(folder / "moved", backend=second, data=digits(STEPS // 2))
            error = apart(final(folder / "moved"), whole)
            worst[first, second] = max(worst.get((first, second), 0.0), error)
            shutil.rmtree(folder / "moved")
        shutil.rmtree(folder / "whole")
        shutil.rmtree(folder / "stopped")
    lines = [
        "| stopped in, resumed in | " + " | ".join(TITLES.values()) + " |",
        "|---|--:|--:|--:|--:|",
    ]
    for first in FRAMEWORKS:
        cells = [
            f"{worst[first, second]:.1e}" if worst[first, second] else "0" for second in FRAMEWORKS
        ]
        lines.append(f"| {TITLES[first]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def say(text: str) -> None:
    """Report what is being done."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Write both tables."""
    path = HERE / "training.md"
    with tempfile.TemporaryDirectory() as folder:
        tables = {"hundred": hundred(Path(folder)), "moved": moved(Path(folder))}
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    tables["versions"] = f"Measured with {versions} on {platform.system()}, {platform.machine()}."
    text = path.read_text()
    for name, table in tables.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- /{name} -->\n")
        text = f"{before}<!-- {name} -->\n{table}\n<!-- /{name} -->\n{after}"
    path.write_text(text)


if __name__ == "__main__":
    main()
